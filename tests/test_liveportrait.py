"LivePortrait through the whole kit, with small networks of random numbers in place of the published ones."
from fractions import Fraction
from importlib.resources import files
import cv2, numpy as np, pytest, torch
from lipsync_kit.cli.main import run as command_line
from lipsync_kit.core import Audio, KitError
from lipsync_kit.live.session import open_session
from lipsync_kit.media.probe import probe
from lipsync_kit.media.read import read_frames, read_image
from lipsync_kit.media.write import Writer
from lipsync_kit.models.contract import is_available
from lipsync_kit.models.liveportrait import model as page
from lipsync_kit.models.liveportrait.template import load_template, make_template
from lipsync_kit.nn.convnext import MotionExtractor
from lipsync_kit.nn.dense_motion import WarpingModule, WarpSize
from lipsync_kit.nn.liveportrait import CORRECTORS, AppearanceExtractor, Corrector, LivePortraitNetworks
from lipsync_kit.models.vasa import model as vasa_page
from lipsync_kit.models.vasa.motion import RANGES, template_of
from lipsync_kit.nn.joyvasa import JoySize, JoyVasa, JoyVasaNetwork, Window, hubert
from lipsync_kit.pipe.animate import animate
from lipsync_kit.pipe.plan import plan
from lipsync_kit.pipe.run import lipsync
from lipsync_kit.trust.verify import verify

FULL = files('lipsync_kit')/'data'/'astronaut.jpg'

def small_networks():
    torch.manual_seed(0)
    picture = torch.nn.Sequential(torch.nn.Conv2d(8, 3, 1), torch.nn.Upsample(scale_factor=32), torch.nn.Sigmoid())   # a decoder that costs little
    nets = dict(appearance=AppearanceExtractor(4, (4, 4, 4, 8), 2, 2, 1), motion=MotionExtractor((1, 1, 1, 1), (8, 8, 8, 8)),
                warp=WarpingModule(WarpSize(2, 2, 21, 1, (4, 8), 4, 8)), decode=picture)
    return LivePortraitNetworks(nets, {k: Corrector(w) for k, w in CORRECTORS.items()})

@pytest.fixture(autouse=True)
def networks(monkeypatch):
    nets = small_networks()
    monkeypatch.setattr(page, 'load_network', lambda *_, **__: nets)
    ranges = {f'{m}_{k}': np.full(s.stop - s.start, v) for k, s in RANGES.items() for m, v in (('min', 1.), ('max', 1.2))}
    monkeypatch.setattr(vasa_page, 'load_network', lambda name, *_, **__: nets if name == 'LivePortrait' else speak)
    monkeypatch.setattr(vasa_page, 'load_joy_template', lambda path: template_of(dict(mean_exp=np.zeros(63), std_exp=np.full(63, .01), **ranges)))
    monkeypatch.setattr(vasa_page, 'find', lambda name: '.')
    return nets

def speak(audio, seed, sampling):
    "Random motion, in windows of four seconds"
    n = round(audio.duration * 25) + 3
    for i in range(-(-n // 100)):
        rows = np.random.default_rng([seed, i]).normal(size=(100, 73)).astype(np.float32)
        yield Window(rows, min(100, n - 100 * i))

def film(path, pictures, fps=25):
    h, w = pictures[0].shape[:2]
    with Writer(path, w, h, fps) as writer:
        for i, x in enumerate(pictures): writer.write(np.ascontiguousarray(x), Fraction(i, fps))
    return path

@pytest.fixture(scope='module')
def photo(): return cv2.resize(read_image(FULL).image, (256, 256), interpolation=cv2.INTER_AREA)

def shifted(photo, n): return [np.roll(photo, 2 * i, 1) for i in range(n)]

@pytest.fixture(scope='module', autouse=True)
def still(tmp_path_factory, photo):
    "The photograph at a quarter of its size"
    global PHOTO
    PHOTO = tmp_path_factory.mktemp('still')/'photo.png'
    cv2.imwrite(str(PHOTO), photo[..., ::-1])

@pytest.fixture
def driving(tmp_path, photo): return film(tmp_path/'driving.mp4', shifted(photo, 8), 10)

def test_a_still_follows_a_video_at_its_rate(tmp_path, photo, driving):
    r = animate(PHOTO, driving, tmp_path/'a.mp4', template=tmp_path/'t.safetensors', device='cpu')
    assert (r.n_frames, r.fps, r.size) == (8, 10, (256, 256))
    t = load_template(tmp_path/'t.safetensors')
    assert len(t) == 8 and np.ptp(t.arrays['exp'], axis=0).max() > 0
    frames = [f.image for f in read_frames(r.path)]
    assert all(np.abs(f[-40:].astype(int) - photo[-40:]).mean() < 6 for f in frames)     # beyond the crop nothing changes
    assert 'LivePortrait' in [l.part for l in r.licences] and all(l.commercial for l in r.licences if 'cover' not in l.part)
    again = animate(PHOTO, tmp_path/'t.safetensors', tmp_path/'b.mp4', fps=30, device='cpu')
    assert (again.n_frames, again.fps) == (24, 30)

def test_the_original_preset(tmp_path, driving):
    r = animate(PHOTO, driving, tmp_path/'a.mp4', preset='original', device='cpu')
    assert (r.n_frames, r.fps) == (8, 10)
    with pytest.raises(KitError, match='lipsync animate'):
        lipsync(PHOTO, motion=small_track(), out=tmp_path/'b.mp4', model='liveportrait', preset='original', device='cpu')

def small_track():
    from lipsync_kit.motion.track import MotionTrack
    return MotionTrack(25, np.zeros((6, 6)), np.zeros((6, 52)), np.linspace(0, .3, 6))

def test_a_video_follows_a_video(tmp_path, photo, driving):
    source = film(tmp_path/'source.mp4', [*shifted(photo, 4), 0 * photo, *shifted(photo, 4)], 12)
    for preset in ('best', 'original'):
        r = animate(source, driving, tmp_path/f'{preset}.mp4', preset=preset, device='cpu')
        assert r.n_frames == 9 if preset == 'best' else r.n_frames == 8, (preset, r.n_frames)

def test_pictures(tmp_path, photo):
    r = animate(PHOTO, PHOTO, tmp_path/'a.png', device='cpu')
    assert read_image(r.path).image.shape == photo.shape
    seen = verify(r.path)
    assert seen.tag and seen.pixels and seen.intact
    assert not verify(animate(PHOTO, PHOTO, tmp_path/'off.png', device='cpu', mark='off').path).marked
    source = film(tmp_path/'source.mp4', shifted(photo, 5))
    assert animate(source, PHOTO, tmp_path/'b.mp4', device='cpu').n_frames == 5

def test_gaps_and_cuts_are_noted(tmp_path, photo):
    pictures = shifted(photo, 6)
    pictures[3:5] = [0 * photo] * 2
    r = animate(PHOTO, film(tmp_path/'d.mp4', pictures, 5), tmp_path/'a.mp4', device='cpu')
    assert r.n_frames == 6 and any('show no face' in w for w in r.warnings)
    other = np.ascontiguousarray(255 - np.roll(photo[:, ::-1], 9, 0) // 2)        # another picture of a face: a cut
    other[20:140, 60:190] = photo[:, ::-1][11:131, 60:190]
    template = make_template(film(tmp_path/'c.mp4', [photo] * 5 + [other] * 5, 10), small_networks().motion)
    assert template.arrays['shot'].tolist() == [0] * 5 + [1] * 5 and 'has 1 cut' in template.notes[0]
    assert np.array_equal(template.at(.7).first.exp, template.frame(5).motion.exp)

def test_bad_input(tmp_path, photo, driving):
    empty = film(tmp_path/'empty.mp4', [0 * photo] * 3)
    with pytest.raises(KitError, match='no face was found'): animate(PHOTO, empty, tmp_path/'a.mp4', device='cpu')
    blank = tmp_path/'blank.png'
    cv2.imwrite(str(blank), 0 * photo)
    with pytest.raises(KitError, match='no face was found'): animate(blank, driving, tmp_path/'a.mp4', device='cpu')
    with pytest.raises(KitError, match='stepz'): animate(PHOTO, driving, tmp_path/'a.mp4', stepz=3)
    assert not (tmp_path/'a.mp4').exists()

def test_several_faces(tmp_path, photo, driving):
    two = tmp_path/'two.png'
    cv2.imwrite(str(two), np.hstack([photo, photo])[..., ::-1])
    r = animate(two, driving, tmp_path/'a.mp4', choose='all', device='cpu')
    frame = next(read_frames(r.path)).image
    halves = frame[:, :256].astype(int), frame[:, 256:].astype(int)
    assert all(np.abs(h[75:150, 75:150] - photo[75:150, 75:150]).mean() > 5 for h in halves)   # both are drawn

def test_small_and_turned_faces_are_noted(tmp_path, photo, driving):
    tiny = tmp_path/'tiny.png'
    cv2.imwrite(str(tiny), np.ascontiguousarray(cv2.resize(photo, (128, 128), interpolation=cv2.INTER_AREA)[..., ::-1]))
    r = animate(tiny, driving, tmp_path/'a.mp4', device='cpu')
    assert any('enlarged' in w for w in r.warnings), r.warnings

def test_speech_moves_it_too(tmp_path):
    r = lipsync(PHOTO, motion=small_track(), out=tmp_path/'a.mp4', model='liveportrait', device='cpu')
    assert r.n_frames == 6
    p = plan(PHOTO, motion=small_track(), model='liveportrait', device='cpu')
    assert p.n_frames == 6 and 'GB' in p.device

def test_the_command(tmp_path, driving, capsys):
    assert command_line(['animate', str(PHOTO), '--driving', str(driving), '-o', str(tmp_path/'a.mp4'), '-q', '--region', 'exp',
                         '--device', 'cpu']) == 0
    assert probe(tmp_path/'a.mp4').n_frames == 8
    assert command_line(['animate', str(PHOTO), '--driving', 'gone.mp4', '-q']) == 2
    assert 'gone.mp4' in capsys.readouterr().err

def test_vasa_style(tmp_path):
    sound = Audio(np.random.default_rng(0).normal(0, .1, 8000).astype(np.float32), 16000)
    r = lipsync(PHOTO, sound, out=tmp_path/'a.mp4', model='vasa', emotion='happy', fps=20, device='cpu', gaze_x=.5, blinks=20)
    assert (r.n_frames, r.fps) == (10, 20) and {'LivePortrait', 'JoyVASA'} <= {l.part for l in r.licences}
    r = lipsync(PHOTO, sound, out=tmp_path/'b.mp4', model='vasa', preset='original', device='cpu')
    assert (r.n_frames, r.fps) == (13, 25)
    with pytest.raises(KitError, match='driven by audio'): lipsync(PHOTO, motion=small_track(), out=tmp_path/'c.mp4', model='vasa')

def test_what_is_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path))
    for name, files in (('liveportrait', ('LivePortrait',)), ('vasa', ('JoyVASA',))):
        told = str(is_available(name))
        assert all(f'lipsync models download {f}' in told for f in files) and 'MIT' in told, told

def live_face(monkeypatch, **options):
    "A live session in the VASA style on small networks, and what may be heard"
    torch.manual_seed(0)
    joy = JoyVasaNetwork(JoyVasa(JoySize(73, 40, 10, 16, 3, 1), hubert(8, 1, 16)).eval())
    nets = small_networks()
    monkeypatch.setattr(vasa_page, 'load_network', lambda name, *_, **__: nets if name == 'LivePortrait' else joy)
    return open_session(PHOTO, model='vasa', device='cpu', **options)

def heard(seconds, rate=24000, loud=.1): return Audio(np.random.default_rng(0).normal(0, loud, round(seconds * rate)).astype(np.float32), rate)

def in_chunks(session, audio, size):
    for a in np.arange(0, audio.duration - 1e-6, size): yield from session.push(audio.cut(a, min(a + size, audio.duration)))

def test_vasa_style_live(monkeypatch):
    audio = heard(1.6)
    session = live_face(monkeypatch, fps=10)
    now = list(in_chunks(session, audio, .1))
    assert 1.6 - float(now[-1].time) <= .6 + .04 + .1 and now[0].image.shape == (256, 256, 3)    # the promised delay, and a frame
    whole = now + list(session.flush())
    assert [f.time for f in whole] == [Fraction(i, 10) for i in range(16)]
    other = live_face(monkeypatch, fps=10)
    again = [*in_chunks(other, audio, .37), *other.flush()]
    assert len(again) == 16 and all(np.array_equal(a.image, b.image) for a, b in zip(whole, again))
    short = live_face(monkeypatch, fps=10, live_window=.12, lookahead=.04)
    assert 1.6 - float(list(in_chunks(short, audio, .1))[-1].time) <= .16 + .04 + .1

def test_vasa_style_is_interrupted_and_idles(monkeypatch):
    session = live_face(monkeypatch, fps=5)
    frames = session.push(heard(3.))
    first = [next(frames) for _ in range(3)]
    session.interrupt()
    assert list(frames) == []                                  # what was not drawn is dropped
    idle = [*in_chunks(session, Audio(np.zeros(32000, np.float32), 16000), .1), *session.flush()]
    assert [f.time for f in first + idle] == [Fraction(i, 5) for i in range(13)]
    assert np.abs(idle[-1].image.astype(int) - idle[-3].image).max() > 0       # it goes on to move
    assert session._moment() is None and session.speaking.last == 0            # with lips that rest

def test_vasa_style_live_says_what_it_cannot(monkeypatch, tmp_path, photo):
    with pytest.raises(KitError, match='live_window'): live_face(monkeypatch, live_window=3.)
    with pytest.raises(KitError, match='ahead'): live_face(monkeypatch, lookahead=9.)
    monkeypatch.setitem(globals(), 'PHOTO', film(tmp_path/'a.mp4', [photo] * 3))
    with pytest.raises(KitError, match='live on a still'): live_face(monkeypatch)
