"Animated pictures as faces, and as what is made."
from pathlib import Path
import av, numpy as np, pytest
from PIL import Image
from lipsync_kit import lipsync
from lipsync_kit.cli.main import run
from lipsync_kit.core import Audio
from lipsync_kit.media.probe import probe
from lipsync_kit.media.provenance import read_mark
from lipsync_kit.media.read import read_audio, read_frames, read_image
from lipsync_kit.media.write import Writer
from lipsync_kit.core import KitError
from lipsync_kit.pipe.plan import plan
from lipsync_kit.pipe.run import process
from lipsync_kit.pipe.source import TRANSPARENT

PHOTO = Path(__file__).parent.parent/'lipsync_kit'/'data'/'astronaut.jpg'
TONE = Audio(.1 * np.sin(np.arange(8000) / 9), 16000)

@pytest.fixture(scope='module')
def face(): return read_image(PHOTO).image[:, 60:340][:256]

def animation(path, face, n=6, ms=80, alpha=False):
    images = [Image.fromarray(np.roll(face, i, 1)) for i in range(n)]
    if alpha:
        for im in images: im.putalpha(Image.fromarray(np.pad(np.full((216, 240), 255, np.uint8), 20)))
    images[0].save(path, save_all=True, append_images=images[1:], duration=ms)
    return path

@pytest.mark.parametrize('suffix', ['.webp', '.gif', '.png', '.avif'])
def test_an_animation_speaks_in_all_its_frames(tmp_path, face, suffix):
    path = animation(tmp_path/f'a{suffix}', face)
    clip = probe(path)
    assert (clip.kind, clip.n_frames, round(clip.duration, 2), clip.fps) == ('video', 6, .48, 12.5)
    assert np.abs(np.diff([f.image.astype(float) for f in read_frames(path)], axis=0)).mean((1, 2, 3)).min() > 1     # they move
    r = lipsync(path, TONE, out=tmp_path/'o.mp4')
    assert r.faces == 1 and r.n_frames == 6 and probe(r.path).audio
    with pytest.raises(KitError, match='no sound|can\'t be read'): read_audio(path)

@pytest.mark.parametrize('suffix', ['.webp', '.png'])
def test_transparent_parts_of_an_animation_are_white(tmp_path, face, suffix):
    r = lipsync(animation(tmp_path/f'a{suffix}', face, alpha=True), TONE, out=tmp_path/'o.mp4')
    assert next(read_frames(r.path)).image[:12, :12].min() > 245 and TRANSPARENT in r.warnings

def test_a_damaged_animation_is_read_as_far_as_it_goes(tmp_path, face):
    data = animation(tmp_path/'a.webp', face).read_bytes()
    (tmp_path/'b.webp').write_bytes(data[:len(data) // 2])
    try: n = sum(1 for _ in read_frames(tmp_path/'b.webp'))
    except KitError: n = 1
    assert 0 < n < 6

@pytest.mark.parametrize('suffix, codec', [('.gif', 'gif'), ('.webp', 'webp')])
def test_a_still_becomes_an_animation(tmp_path, suffix, codec):
    r = lipsync(PHOTO, TONE, out=tmp_path/f'a{suffix}', size=160)
    clip, frames = probe(r.path), list(read_frames(r.path))
    assert (clip.codec, max(clip.width, clip.height), r.n_frames, max(r.size), r.fps) == (codec, 160, 13, 160, 25)
    assert clip.duration == pytest.approx(.52) and clip.n_frames == len(frames)
    times = [round(float(f.time), 2) for f in frames]             # WebP makes one of frames that are alike
    assert set(times) <= {round(i / 25, 2) for i in range(13)} and (len(times) == 13 or suffix == '.webp')
    assert any('no sound' in w for w in r.warnings) and 'trainedAlgorithmicMedia' in read_mark(r.path)['digital source type']
    assert '<img' in r.html() and f'image/{suffix[1:]}' in r.html()
    with Image.open(r.path) as im: assert im.n_frames == len(frames) and im.info.get('loop') == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [f'a{suffix}']

@pytest.mark.parametrize('suffix, limit, fastest', [('.gif', 480, 25), ('.webp', 720, 30)])
def test_animations_of_video_are_bounded(tmp_path, suffix, limit, fastest):
    with Writer(tmp_path/'a.mp4', 960, 540, 50) as w:
        for i in range(20): w.write(np.full((540, 960, 3), 10 * i, np.uint8))
    r = process(tmp_path/'a.mp4', 'sharpen', tmp_path/f'b{suffix}')
    assert max(r.size) == limit and r.fps == 25 and r.n_frames == 10 and r.seconds == pytest.approx(.4)
    assert max(process(tmp_path/'a.mp4', 'sharpen', tmp_path/f'c{suffix}', size=800).size) == 800

def test_plan_and_batch_take_animations(tmp_path, face):
    path = animation(tmp_path/'a.webp', face)
    assert plan(path, TONE).video_seconds == pytest.approx(.5, abs=.03)
    with av.open(str(tmp_path/'s.wav'), 'w') as out:
        s = out.add_stream('pcm_s16le', rate=16000, layout='mono')
        f = av.AudioFrame.from_ndarray((TONE.samples * 32767).astype(np.int16)[None], 's16', 'mono')
        f.rate = 16000
        for p in (*s.encode(f), *s.encode(None)): out.mux(p)
    (tmp_path/'t.csv').write_text('face,audio,out,size\na.webp,s.wav,one.gif,128\na.webp,s.wav,two.webp,128\n')
    assert run(['batch', str(tmp_path/'t.csv'), '-o', str(tmp_path/'out'), '-q']) == 0
    assert {p.suffix: probe(p).codec for p in (tmp_path/'one.gif', tmp_path/'two.webp')} == {'.gif': 'gif', '.webp': 'webp'}
