"Pixels that nothing is drawn on keep their levels, whatever the depth, range and matrix of the source."
from fractions import Fraction
from pathlib import Path
import av, numpy as np, pytest
from lipsync_kit import lipsync
from lipsync_kit.core import Audio
from lipsync_kit.media.read import read_frames, read_image
from lipsync_kit.media.write import Writer

PHOTO = Path(__file__).parent.parent/'lipsync_kit'/'data'/'astronaut.jpg'
LUMA = {1: (.2126, .0722), 5: (.299, .114), 6: (.299, .114), 9: (.2627, .0593)}    # of red and blue, by matrix (ITU-T H.273)

def ranges(bits, full):
    "Zero and span of luma, zero and span of chroma"
    k = 2**(bits - 8)
    return (0, 2**bits - 1, 128 * k, 2**bits - 1) if full else (16 * k, 219 * k, 128 * k, 224 * k)

def to_planes(rgb, matrix, bits, full, down=(2, 2)):
    "RGB as Y'CbCr by the formulas of the standards; chroma is a mean"
    r, b = LUMA[matrix]
    x = rgb / 255
    y = x @ np.array([r, 1 - r - b, b])
    y0, ys, c0, cs = ranges(bits, full)
    def chroma(c): return c.reshape(len(c) // down[0], down[0], -1, down[1]).mean((1, 3)) * cs + c0
    planes = y * ys + y0, chroma((x[..., 2] - y) / (2 - 2 * b)), chroma((x[..., 0] - y) / (2 - 2 * r))
    return [np.rint(p).clip(0, 2**bits - 1).astype('<u2' if bits > 8 else 'u1') for p in planes]

def to_rgb(planes, matrix, bits, full):
    "Y'CbCr as RGB by the same formulas; chroma is repeated"
    r, b = LUMA[matrix]
    y0, ys, c0, cs = ranges(bits, full)
    h, w = planes[0].shape
    y, (u, v) = (planes[0] - float(y0)) / ys, ((p.repeat(h // len(p), 0).repeat(w // p.shape[1], 1) - float(c0)) / cs for p in planes[1:])
    red, blue = y + (2 - 2 * r) * v, y + (2 - 2 * b) * u
    return 255 * np.stack([red, (y - r * red - b * blue) / (1 - r - b), blue], -1).clip(0, 1)

def video(path, planes, pix, matrix, full, codec='ffv1', n=3, **options):
    "A video of the same frame `n` times, made with PyAV alone"
    h, w = planes[0].shape
    with av.open(str(path), 'w') as out:
        v = out.add_stream(codec, rate=25, options=options)
        v.width, v.height, v.pix_fmt = w, h, pix
        v.codec_context.colorspace, v.codec_context.color_range = matrix, 1 + full
        for i in range(n):
            f = av.VideoFrame(w, h, pix)
            for p, x in zip(f.planes, planes):
                wide = np.zeros((p.height, p.line_size // x.itemsize), x.dtype)
                wide[:, :x.shape[1]] = x
                p.update(wide.tobytes())
            f.colorspace, f.color_range, f.pts, f.time_base = matrix, 1 + full, i, Fraction(1, 25)
            for p in v.encode(f): out.mux(p)
        for p in v.encode(None): out.mux(p)
    return path

@pytest.fixture(scope='module')
def picture(): return read_image(PHOTO).image[:256, :384].astype(float)

CASES = [(pix, bits, down) for pix, bits, down in (('yuv420p', 8, (2, 2)), ('yuv422p', 8, (1, 2)), ('yuv444p', 8, (1, 1)),
                                                   ('yuv420p10le', 10, (2, 2)), ('yuv422p10le', 10, (1, 2)))]

@pytest.mark.parametrize('full', [False, True], ids=['limited', 'full'])
@pytest.mark.parametrize('matrix', [1, 5, 9])
@pytest.mark.parametrize('pix, bits, down', CASES)
def test_levels_stay(tmp_path, picture, pix, bits, down, matrix, full):
    planes = to_planes(picture, matrix, bits, full, down)
    own = to_rgb(planes, matrix, bits, full)
    frames = [f.image for f in read_frames(video(tmp_path/'a.mkv', planes, pix, matrix, full))]
    assert np.abs((frames[0] - own).mean((0, 1))).max() < .15
    for suffix in ('.mp4', '.webm'):
        with Writer(tmp_path/f'b{suffix}', 384, 256) as w:
            for x in frames: w.write(x)
        again = next(read_frames(tmp_path/f'b{suffix}')).image
        assert abs((again - own).mean()) < .2

@pytest.mark.parametrize('codec, pix, full, bits', [('libx264', 'yuv420p', False, 8), ('libx264', 'yuvj420p', True, 8),
                                                    ('libx264', 'yuv420p10le', False, 10), ('libx265', 'yuv420p10le', False, 10)])
def test_levels_of_what_phones_record(tmp_path, picture, codec, pix, full, bits):
    planes = to_planes(picture, 1, bits, full)
    image = next(read_frames(video(tmp_path/'a.mp4', planes, pix, 1, full, codec, crf='8'))).image
    assert np.abs((image - to_rgb(planes, 1, bits, full)).mean((0, 1))).max() < .2

def test_colours_stay_in_their_places(tmp_path, picture):
    "Read and written over and over, colours would move by half a pixel a time if they were written between two columns"
    first = last = picture.astype(np.uint8)
    for i in range(4):
        with Writer(tmp_path/f'{i}.mp4', 384, 256, crf=0) as w: w.write(last)
        last = next(read_frames(tmp_path/f'{i}.mp4')).image
        if not i: first = last
    assert np.abs(last.astype(int) - first).mean() < .5

def test_levels_around_a_face_that_speaks(tmp_path):
    tone = Audio(.1 * np.sin(np.arange(6000) / 9), 16000)
    still = next(read_frames(lipsync(PHOTO, tone, out=tmp_path/'a.mp4', size=256, idle=False, motion_model='rules', mark='tag').path)).image
    photo = read_image(PHOTO).image
    whole = photo[:photo.shape[0] // 2 * 2, :photo.shape[1] // 2 * 2].astype(float)
    planes = to_planes(whole, 1, 10, False)
    clip = video(tmp_path/'a.mkv', planes, 'yuv420p10le', 1, False, n=8)
    spoken = next(read_frames(lipsync(clip, tone, out=tmp_path/'b.mp4', motion_model='rules', mark='tag').path)).image
    edge = np.s_[:, :whole.shape[1] // 8]      # far from the face
    assert np.abs((spoken - to_rgb(planes, 1, 10, False))[edge].mean((0, 1))).max() < .2
    import cv2
    small = cv2.resize(photo, still.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs((still - small.astype(float))[:, :still.shape[1] // 8].mean((0, 1))).max() < .2
