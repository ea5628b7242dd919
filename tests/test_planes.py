"Frames that are kept as planes: what is not drawn on stays to the bit, and every other kind of source goes through RGB."
from fractions import Fraction
from pathlib import Path
import av, numpy as np, pytest
from lipsync_kit import lipsync
from lipsync_kit.core import Audio, Frame, Rect
from lipsync_kit.effects.effect import Effect, EffectContext
from lipsync_kit.media import resume
from lipsync_kit.media.planes import Planes, planes_of
from lipsync_kit.media.read import read_frames, read_image
from lipsync_kit.media.write import Writer
from lipsync_kit.pipe.run import process
from test_levels import to_planes, to_rgb, video

PHOTO = Path(__file__).parent.parent/'lipsync_kit'/'data'/'astronaut.jpg'
TONE = Audio((.3 * np.sin(np.arange(6400) / 9)).astype(np.float32), 16000)

@pytest.fixture(scope='module')
def picture(): return read_image(PHOTO).image[:256, :384].astype(float)

@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    "A face in BT.709, lossless, so that it can be compared to the bit"
    x = read_image(PHOTO).image[:256, 60:444].astype(float)
    return video(tmp_path_factory.mktemp('film')/'a.mkv', to_planes(x, 1, 8, False), 'yuv420p', 1, False, n=8)

@pytest.fixture
def written(monkeypatch):
    "What goes to the encoder"
    got, write = [], resume.ResumableWriter.write
    monkeypatch.setattr(resume.ResumableWriter, 'write', lambda self, x, time=None: got.append(x) or write(self, x, time))
    return got

def packed_frames(path):
    with av.open(str(path)) as c: return [f.to_ndarray() for f in c.decode(video=0)]

def test_pixels_that_nothing_is_drawn_on_stay(clip, written, tmp_path):
    lipsync(clip, TONE, out=tmp_path/'a.mp4', motion_model='rules', mark='tag')
    own = packed_frames(clip)
    assert len(written) >= 8 and all(isinstance(x, Planes) for x in written)
    for x, before in zip(written, own):
        after = x.video_frame().to_ndarray()
        changed = np.argwhere((after != before)[:256])
        assert len(changed), 'no mouth was drawn'
        (rect, *_), = x.pieces
        assert (changed >= [rect.y0, rect.x0]).all() and (changed < [rect.y1, rect.x1]).all()
        differs = np.argwhere((np.asarray(x) != np.asarray(Planes(before))).any(-1))
        assert differs.max(0)[0] - differs.min(0)[0] < 170      # the lower face, not the whole rectangle

def test_a_clip_without_a_face_passes_to_the_bit(written, tmp_path):
    rng = np.random.default_rng(0)
    planes = [rng.integers(16, 236, s, np.uint8) for s in ((128, 128), (64, 64), (64, 64))]
    path = video(tmp_path/'noise.mkv', planes, 'yuv420p', 1, False, n=5)
    lipsync(path, TONE, out=tmp_path/'a.mp4', motion_model='rules', mark='tag')
    for x, before in zip(written, packed_frames(path)): assert np.array_equal(x.video_frame().to_ndarray(), before)

KINDS = [('yuv420p', 8, (2, 2), 1, False, True), ('yuv420p', 8, (2, 2), 1, True, False), ('yuv420p', 8, (2, 2), 5, False, False),
         ('yuv420p', 8, (2, 2), 9, False, False), ('yuv444p', 8, (1, 1), 1, False, False), ('yuv422p', 8, (1, 2), 1, False, False),
         ('yuv420p10le', 10, (2, 2), 1, False, False)]

@pytest.mark.parametrize('pix, bits, down, matrix, full, kept', KINDS)
def test_which_sources_stay_planes(tmp_path, picture, pix, bits, down, matrix, full, kept):
    planes = to_planes(picture, matrix, bits, full, down)
    f = next(read_frames(video(tmp_path/'a.mkv', planes, pix, matrix, full)))
    assert isinstance(f.pixels, Planes) == kept and isinstance(f.image, np.ndarray)
    assert np.abs((f.image - to_rgb(planes, matrix, bits, full)).mean((0, 1))).max() < .2

@pytest.mark.parametrize('width, height', [(384, 255), (383, 256), (383, 255)])
def test_odd_sizes_go_through_rgb(tmp_path, width, height):
    x = read_image(PHOTO).image[:height, 60:60 + width]
    with av.open(str(tmp_path/'a.mkv'), 'w') as out:
        v = out.add_stream('ffv1', rate=25)
        v.width, v.height, v.pix_fmt, v.codec_context.colorspace = width, height, 'yuv420p', 1
        for p in [*v.encode(av.VideoFrame.from_ndarray(x, 'rgb24')), *v.encode(None)]: out.mux(p)
    f = next(read_frames(tmp_path/'a.mkv'))
    assert isinstance(f.pixels, np.ndarray) and f.image.shape == (height, width, 3)
    assert lipsync(tmp_path/'a.mkv', TONE, out=tmp_path/'b.mp4', motion_model='rules').size == (width, height)

def test_turned_sources_go_through_rgb(clip, tmp_path):
    with av.open(str(clip)) as c:
        f = next(c.decode(video=0))
    from lipsync_kit.media.planes import is_plain
    class Turned:
        rotation = 90
        def __getattr__(self, name): return getattr(f, name)
    assert is_plain(f) and not is_plain(Turned())

def smooth_piece(x0, y0, x1, y1, p):
    import cv2
    return cv2.GaussianBlur(np.ascontiguousarray(p.part(Rect(x0, y0, x1, y1))), (0, 0), 2)

@pytest.mark.parametrize('rect', [(100, 40, 180, 120), (101, 41, 180, 121), (0, 0, 33, 31), (351, 223, 384, 256), (7, 9, 8, 10), (0, 0, 384, 256)])
def test_pieces_at_any_place(clip, rect):
    "Odd corners, the border, one pixel and the whole: what is read back is what was drawn, and the rest is untouched"
    p = next(read_frames(clip)).pixels
    new = smooth_piece(*rect, p)
    q = p.drawn(Rect(*rect), new)
    back = planes_of(q.video_frame())
    x0, y0, x1, y1 = rect
    if x1 - x0 > 8: assert np.abs(back.part(Rect(*rect)).astype(int) - new).mean() < 1.5
    outside = np.ones((256, 384), bool)
    outside[y0:y1, x0:x1] = False
    assert np.array_equal(back.packed[:256][outside], p.packed[:256][outside])
    u0, v0, u1, v1 = (x0 - 1) // 2, y0 // 2, x1 // 2 + 1, (y1 + 1) // 2
    far = np.ones((128, 192), bool)
    far[max(v0, 0):v1, max(u0, 0):u1] = False
    for a, b in zip(back.packed[256:].reshape(2, 128, 192), p.packed[256:].reshape(2, 128, 192)): assert np.array_equal(a[far], b[far])

def test_a_piece_is_the_same_as_in_the_whole(clip):
    p = next(read_frames(clip)).pixels
    whole = np.asarray(Planes(p.packed))
    for r in (Rect(11, 20, 60, 71), Rect(0, 0, 5, 5), Rect(380, 250, 384, 256)): assert np.array_equal(Planes(p.packed).part(r), r.of(whole))

class Blank(Effect):
    def draw(self, image, faces, time): return image

class Inverted(Effect):
    def draw(self, image, faces, time): return 255 - image

def test_effects_see_arrays(clip):
    context = EffectContext(None)
    frames = [(f, []) for f in read_frames(clip)]
    assert [f.pixels for f, _ in Blank().apply(frames, context)] == [f.pixels for f, _ in frames]      # untouched ones stay planes
    assert np.array_equal(next(Inverted().apply(frames, context))[0].pixels, 255 - frames[0][0].image)

def test_sharpening_touches_the_mouth_alone(clip, written, tmp_path):
    process(clip, 'sharpen:amount=2', out=tmp_path/'a.mp4', mark='tag')
    for x, before in zip(written, packed_frames(clip)):
        changed = np.argwhere((x.video_frame().to_ndarray() != before)[:256])
        assert len(changed) and np.ptp(changed, axis=0).max() < 80

def test_frames_look_alike_either_way():
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    f = Frame(image, Fraction(0))
    assert f.drawn(Rect(1, 1, 3, 3), image[1:3, 1:3] + 1).image[1, 1, 0] == image[1, 1, 0] + 1 and f.image is image
    assert Frame(None, Fraction(0)).image is None

def test_the_same_planes_make_the_same_file(clip, tmp_path):
    frames = list(read_frames(clip))
    for i in range(2):
        with Writer(tmp_path/f'{i}.mp4', 384, 256) as w:
            for f in frames: w.write(f.pixels, f.time)
    assert (tmp_path/'0.mp4').read_bytes() == (tmp_path/'1.mp4').read_bytes()
    for f, g in zip(frames, read_frames(tmp_path/'0.mp4')): assert np.abs(f.image.astype(int) - g.image).mean() < 2
