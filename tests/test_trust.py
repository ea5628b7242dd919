"Marks of whole files: what is signed and read, what outlives a re-encode, and what happens where signing fails."
import json, os, stat, subprocess, sys
from importlib.resources import files
from pathlib import Path
import numpy as np, pytest
from lipsync_kit import KitError, lipsync, process, verify
from lipsync_kit.cli.main import run
from lipsync_kit.media.read import read_frames, read_image
from lipsync_kit.media.write import Writer, write_image
from lipsync_kit.trust.certificate import OWN_CERT, OWN_KEY, can_sign, credential, make_pair
from lipsync_kit.trust.ledger import entries
from lipsync_kit.trust.manifest import read_manifest
from lipsync_kit.trust.pixels import PixelMark, read_pixels

PHOTO = str(files('lipsync_kit')/'data'/'astronaut.jpg')
TONE = np.sin(np.arange(9600) * .2).astype(np.float32) * .3, 16000
FAST = dict(motion_model='rules', device='cpu')
signs = pytest.mark.skipif(not can_sign(), reason="c2pa-python is missing: pip install 'lipsync_kit[trust]'")

@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    "A ledger and a certificate of the test's own"
    monkeypatch.setenv('LIPSYNC_KIT_LEDGER', str(tmp_path/'ledger'/'made.jsonl'))
    monkeypatch.setenv('LIPSYNC_KIT_CONFIG', str(tmp_path/'config'))
    for name in OWN_CERT, OWN_KEY: monkeypatch.delenv(name, raising=False)

@pytest.fixture(scope='module')
def talk(tmp_path_factory):
    "A short talking head with all marks, and where its ledger is"
    d, kept = tmp_path_factory.mktemp('talk'), dict(os.environ)
    os.environ.update(LIPSYNC_KIT_LEDGER=str(d/'made.jsonl'), LIPSYNC_KIT_CONFIG=str(d/'config'))
    try: r = lipsync(PHOTO, TONE, out=d/'a.mp4', consent_face='public domain', consent_voice='a tone', **FAST)
    finally:
        for name in 'LIPSYNC_KIT_LEDGER', 'LIPSYNC_KIT_CONFIG': os.environ.pop(name)
        os.environ.update(kept)
    return r

@pytest.fixture
def ledger(talk, monkeypatch): monkeypatch.setenv('LIPSYNC_KIT_LEDGER', str(talk.path.parent/'made.jsonl'))

def test_a_talk_has_them_all(talk, ledger):
    v = verify(talk.path)
    assert v.marked and v.intact and v.tag['model'] == 'portrait'
    e, = v.entries
    assert e.making.bits == v.pixels.bits and Path(e.path) == talk.path
    roles = {i.role: i for i in e.making.ingredients}
    assert roles['face'].consent == 'public domain' and roles['sound'].consent == 'a tone'
    assert any('hama' in p['part'] or 'face_landmarker' in p['part'] for p in e.making.parts)
    if can_sign():
        assert v.claim.valid and v.claim.bits == v.pixels.bits and v.claim.making['licences'] and e.layers == ('tag', 'c2pa', 'pixels')
        assert roles['face'].sha256 in str(v.claim.ingredients) and 'astronaut' not in json.dumps(v.claim.to_dict())
    assert json.loads(json.dumps(v.to_dict()))['pixels']['bits'] == f'{v.pixels.bits:08x}'

def test_the_pixels_outlive_a_platform(talk, ledger, tmp_path):
    images = [f.image for f in read_frames(talk.path)]
    path = tmp_path/'again.mp4'
    with Writer(path, 440, 460, crf=26) as w:
        for x in images: w.write(np.ascontiguousarray(x[20:480, 30:470]))
    v = verify(path)
    assert v.tag is None and v.claim is None and v.pixels and Path(v.entries[0].path) == talk.path
    assert run(['verify', str(path)]) == 0
    write_image(tmp_path/'shot.png', images[3])
    assert verify(tmp_path/'shot.png').pixels.bits == v.pixels.bits

def test_unmarked_pictures_are_not_taken_for_marked(tmp_path):
    rng, photo = np.random.default_rng(0), read_image(PHOTO).image
    tiles = np.tile(rng.integers(0, 256, (64, 64, 3)), (6, 6, 1)).astype(np.uint8)    # itself a repeated tile
    noise = rng.integers(0, 256, (300, 400, 3)).astype(np.uint8)
    flat, line = np.full((256, 256, 3), 200, np.uint8), np.zeros((256, 256, 3), np.uint8)
    line[100] = 255
    for x in (photo, photo[::-1], tiles, noise, flat, line, photo[:40, :40], photo[:3, :9]): assert read_pixels([x]) is None

@pytest.mark.parametrize('bits', [0, 1, 0xffffffff, 0x80000001])
def test_all_bits_come_back(bits):
    x = PixelMark(bits, 512, 512).on(read_image(PHOTO).image)
    assert read_pixels([x]).bits == bits

def test_the_same_job_makes_the_same_file_and_goes_on_after_a_stop(tmp_path):
    class Stop(Exception): pass
    sound = np.tile(TONE[0], 20), 16000          # 12 s: two parts
    def stop(p):
        if p.stage.startswith('drawing') and p.share > .9: raise Stop
    kw = dict(size=256, mark='pixels', **FAST)
    with pytest.raises(Stop): lipsync(PHOTO, sound, out=tmp_path/'a.mp4', progress=stop, **kw)
    assert list(tmp_path.glob('.a.mp4.parts/*.mp4'))
    a, b = lipsync(PHOTO, sound, out=tmp_path/'a.mp4', **kw), lipsync(PHOTO, sound, out=tmp_path/'b.mp4', **kw)
    assert a.path.read_bytes() == b.path.read_bytes()
    first, last = (read_pixels([x]) for x in (next(read_frames(a.path)).image, list(read_frames(a.path, 11.5))[-1].image))
    assert first.bits == last.bits == verify(a.path).pixels.bits and len(list(entries())) == 2

@pytest.mark.parametrize('mark,layers', [('off', ()), (False, ()), ('tag', ('tag',)), ('pixels', ('tag', 'pixels')), (True, None)])
def test_layers_can_be_left_out(mark, layers, tmp_path):
    r = process(PHOTO, 'sharpen', out=tmp_path/'a.png', mark=mark)
    if layers is None: layers = ('tag', 'c2pa', 'pixels') if can_sign() else ('tag', 'pixels')
    v, e = verify(r.path), next(entries())
    assert e.layers == layers and (v.tag is not None, v.pixels is not None) == ('tag' in layers, 'pixels' in layers)
    assert (v.claim is not None) == ('c2pa' in layers) and v.marked == bool(layers)

def test_what_can_hold_no_manifest_has_the_rest(tmp_path, capsys):
    r = process(PHOTO, 'sharpen', out=tmp_path/'a.webp')
    assert verify(r.path).pixels
    if can_sign():
        assert run(['talk', PHOTO, '--text', 'Hello', '--mark', 'c2pa', '-q', '-o', str(tmp_path/'a.webm')]) == 2
        assert "can't hold a C2PA manifest" in capsys.readouterr().err
    assert run(['process', PHOTO, '--then', 'sharpen', '--mark', 'signed', '-q', '-o', str(tmp_path/'a.png')]) == 2
    assert 'no kind of mark' in capsys.readouterr().err

@signs
def test_a_file_that_is_changed_says_so(tmp_path):
    r = process(PHOTO, 'sharpen', out=tmp_path/'a.jpg')
    assert read_manifest(r.path).valid and read_manifest(r.path).actions == ('c2pa.opened', 'c2pa.edited')
    data = bytearray(r.path.read_bytes())
    data[-300] ^= 1
    (tmp_path/'b.jpg').write_bytes(data)
    assert not verify(tmp_path/'b.jpg').intact and run(['verify', str(tmp_path/'b.jpg')]) == 3

@signs
def test_a_certificate_of_ones_own(tmp_path, monkeypatch):
    for name, data in zip(('cert.pem', 'key.pem'), make_pair()): (tmp_path/name).write_bytes(data)
    monkeypatch.setenv(OWN_CERT, str(tmp_path/'cert.pem'))
    monkeypatch.setenv(OWN_KEY, str(tmp_path/'key.pem'))
    assert verify(process(PHOTO, 'sharpen', out=tmp_path/'a.png').path).claim.valid
    assert not (tmp_path/'config').exists()

@signs
@pytest.mark.parametrize('fault,word', [('expired', 'not today'), ('other', 'not that of the first'), ('text', 'no certificate'),
                                        ('gone', "can't read"), ('half', 'set both')])
def test_a_bad_certificate_is_refused_before_anything_is_drawn(fault, word, tmp_path, monkeypatch, capsys):
    chain, key = make_pair(-1 if fault == 'expired' else 1)
    if fault == 'other': key = make_pair()[1]
    (tmp_path/'cert.pem').write_bytes(b'hello' if fault == 'text' else chain)
    (tmp_path/'key.pem').write_bytes(key)
    monkeypatch.setenv(OWN_CERT, str(tmp_path/('no.pem' if fault == 'gone' else 'cert.pem')))
    if fault != 'half': monkeypatch.setenv(OWN_KEY, str(tmp_path/'key.pem'))
    assert run(['process', PHOTO, '--then', 'sharpen', '-q', '-o', str(tmp_path/'a.png')]) == 2
    said = capsys.readouterr().err
    assert word in said and said.count('\n') == 1 and not (tmp_path/'a.png').exists()

@signs
def test_a_video_is_not_lost_to_a_signature(tmp_path, monkeypatch):
    (tmp_path/'config').write_text('a file where a folder should be')
    (tmp_path/'ledger').write_text('likewise')
    r = process(PHOTO, 'sharpen', out=tmp_path/'a.png')
    assert any('manifest was left out' in w for w in r.warnings) and any('could not be noted' in w for w in r.warnings)
    v = verify(r.path)
    assert v.tag and v.pixels and v.claim is None
    assert not list(tmp_path.glob('.a*')), 'a half-written file stayed'

@signs
@pytest.mark.skipif(os.name == 'nt', reason='Windows has no such permissions')
def test_the_key_is_its_owners_and_made_once(tmp_path):
    code = 'from lipsync_kit.trust.certificate import credential; print(credential().chain.decode())'
    both = [subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {p.communicate()[0] for p in both}
    assert len(said) == 1 and credential().chain.decode() in said.pop()
    assert stat.S_IMODE((tmp_path/'config'/'signing.pem').stat().st_mode) == 0o600

def test_without_the_parts_that_sign(tmp_path, monkeypatch):
    import importlib.util
    real = importlib.util.find_spec
    monkeypatch.setattr('lipsync_kit.trust.certificate.find_spec', lambda n, *a: None if n == 'c2pa' else real(n, *a))
    r = process(PHOTO, 'sharpen', out=tmp_path/'a.png')
    v = verify(r.path)
    assert v.pixels and v.claim is None and any('lipsync_kit[trust]' in n for n in v.notes)
    with pytest.raises(KitError, match=r'lipsync_kit\[trust\]'): process(PHOTO, 'sharpen', out=tmp_path/'b.png', mark='c2pa')

def test_a_voice_from_a_text_is_marked_where_the_weights_are(tmp_path):
    from lipsync_kit.trust.voice import HEARD, can_mark_voices
    if not can_mark_voices(): pytest.skip('the weights of perth are not here: lipsync models download perth')
    r = lipsync(PHOTO, text='Hello there, how are you?', out=tmp_path/'a.mp4', size=256, **FAST)
    assert verify(r.path).voice >= HEARD and 'voice' in next(entries()).layers
    plain = lipsync(PHOTO, text='Hello there, how are you?', out=tmp_path/'b.mp4', size=256, mark='tag', **FAST)
    assert verify(plain.path).voice < HEARD

def test_the_gate_warns_and_goes_on(tmp_path):
    from lipsync_kit.faces.identity import embedder
    with pytest.raises(KitError, match="can't be read"): process(PHOTO, 'sharpen', out=tmp_path/'a.png', gate=str(tmp_path/'no'))
    if embedder() is None: pytest.skip("no face recognition network: pip install 'lipsync_kit[metrics]'")
    (tmp_path/'people').mkdir()
    write_image(tmp_path/'people'/'somebody.png', read_image(PHOTO).image)
    told = []
    r = lipsync(PHOTO, TONE, out=tmp_path/'a.mp4', gate=str(tmp_path/'people'), size=256, progress=lambda p: told.append(p.note), **FAST)
    assert any('somebody' in w for w in r.warnings) and any('somebody' in n for n in told if n)

def test_the_gate_sees_who_comes_late_and_who_is_put_in(tmp_path):
    from lipsync_kit.effects.effect import parse_effects
    from lipsync_kit.faces.identity import embedder
    from lipsync_kit.pipe.gate import gate_notes
    from lipsync_kit.pipe.options import make_options
    from lipsync_kit.pipe.source import open_source
    if embedder() is None: pytest.skip("no face recognition network: pip install 'lipsync_kit[metrics]'")
    (tmp_path/'people').mkdir()
    write_image(tmp_path/'people'/'somebody.png', read_image(PHOTO).image)
    face, empty = read_image(PHOTO).image, np.full((512, 512, 3), 90, np.uint8)
    with Writer(tmp_path/'late.mp4', 512, 512) as w:
        for i in range(50): w.write(face if i >= 35 else empty)
    def seen(source, effects=()): return gate_notes(open_source(source, make_options(), needed=False), str(tmp_path/'people'), parse_effects(effects))
    assert 'like somebody' in seen(str(tmp_path/'late.mp4'))[0] and seen(empty) == []
    assert 'like somebody' in seen(empty, f'swap:source={PHOTO},consent=yes')[0]

def test_bits_at_weak_places_are_read():
    "Noises whose places the picture itself resembles: the check says which of those that fit nearly as well is meant"
    photo = read_image(PHOTO).image
    for bits in 0x21eeba8, 0xf339c63e, *range(0, 2**32, 2**29 + 12345): assert read_pixels([PixelMark(bits, *photo.shape[1::-1]).on(photo)]).bits == bits
