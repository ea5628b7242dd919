"Sources that tell half the truth: interlaced ones, recordings whose header has no length. Made here with PyAV."
import io
from fractions import Fraction
from pathlib import Path
import av, numpy as np, pytest
from lipsync_kit import lipsync
from lipsync_kit.core import Audio
from lipsync_kit.media.probe import INTERLACED, probe
from lipsync_kit.media.read import read_audio, read_frames, read_image
from lipsync_kit.media.streams import StreamReport
from lipsync_kit.pipe.plan import plan

PHOTO = Path(__file__).parent.parent/'lipsync_kit'/'data'/'astronaut.jpg'
TONE = .1 * np.sin(np.arange(72000) / 20, dtype=np.float32)      # 3 s at 24 kHz

class Pipe(io.RawIOBase):
    "Where nobody can go back to fill in a header"
    def __init__(self, file): self.file = file
    def writable(self): return True
    def write(self, b): return self.file.write(bytes(b))

def movie(path, images, codec='libx264', sound=None, pix='yuv420p', container=None, container_format=None, piped=False,
          jitter=False, rate=25, **options):
    "A video of the images, at uneven milliseconds where there is `jitter`"
    h, w = images[0].shape[:2]
    step, rng = Fraction(1, 1000 if jitter else rate), np.random.default_rng(0)
    with open(path, 'wb') as file, av.open(Pipe(file) if piped else str(path), 'w', format=container_format, options=container or {}) as out:
        v = out.add_stream(codec, rate=rate, options=options)
        v.width, v.height, v.pix_fmt = w, h, pix
        v.codec_context.time_base = step
        v.codec_context.gop_size = 20
        a = out.add_stream(sound, rate=48000, layout='mono') if sound else None
        if a: fit = av.AudioResampler(a.codec_context.format.name, 'mono', 48000)
        for i, x in enumerate(images):
            f = av.VideoFrame.from_ndarray(x, 'rgb24').reformat(format=pix)
            f.pts, f.time_base = (i * 1000 // rate + int(rng.integers(0, 9)) if jitter else i), step
            for p in v.encode(f): out.mux(p)
            n = 48000 // rate
            f = av.AudioFrame.from_ndarray(.1 * np.sin(np.arange(i * n, i * n + n, dtype=np.float32) / 20)[None], 'fltp', 'mono')
            f.rate, f.pts, f.time_base = 48000, i * n, Fraction(1, 48000)
            for g in fit.resample(f) if a else ():
                for p in a.encode(g): out.mux(p)
        for s in filter(None, (v, a)):
            for p in s.encode(None): out.mux(p)
    return path

# interlaced

def scene(i, w=128, h=96):
    "A bar before a fine pattern that stays"
    x = np.full((h, w, 3), 60, np.uint8)
    x[8::8] = 90
    x[20:70, 10 + 3 * i:30 + 3 * i] = 220
    return x

def woven(k, w=128, h=96):
    x = scene(2 * k, w, h)
    x[1::2] = scene(2 * k + 1, w, h)[1::2]
    return x

def combs(x): return np.abs(np.diff(x[20:70, :120, 1].astype(int), 2, axis=0)).mean()

INTER = [('a.mpg', 'mpeg2video', dict(flags='+ildct+ilme', b='8000000')), ('a.ts', 'mpeg2video', dict(flags='+ildct+ilme', b='8000000')),
         ('a.mp4', 'libx264', {'x264-params': 'tff=1', 'crf': '10'}), ('a.mkv', 'libx264', {'x264-params': 'bff=1', 'crf': '10'}),
         ('a.mov', 'prores_ks', dict(flags='+ildct', pix='yuv422p10le')), ('a.avi', 'dvvideo', {})]

@pytest.mark.parametrize('name, codec, options', INTER)
def test_interlaced_frames_are_made_whole(tmp_path, name, codec, options):
    size = (720, 576) if codec == 'dvvideo' else (128, 96)
    path, report = movie(tmp_path/name, [woven(k, *size) for k in range(12)], codec, **options), StreamReport('picture')
    with av.open(str(path)) as c:
        stored = [(f.to_ndarray(format='rgb24'), f.time - (c.start_time or 0) / 1e6) for f in c.decode(video=0)]
    frames = list(read_frames(path, report=report))
    assert probe(path).warnings == (INTERLACED,) and report.notes == [INTERLACED]
    assert [float(f.time) for f in frames] == pytest.approx([t for _, t in stored], abs=1e-3)
    def mean(images): return np.mean([combs(x) for x in images])
    assert mean(f.image for f in frames) < .5 * mean(x for x, _ in stored)

def test_progressive_frames_that_are_called_interlaced_stay(tmp_path):
    path = movie(tmp_path/'a.mp4', [scene(2 * k) for k in range(12)], **{'x264-params': 'tff=1', 'crf': '10'})
    with av.open(str(path)) as c:
        frames = list(c.decode(video=0))
        stored = [f.to_ndarray(format='rgb24').astype(int) for f in frames]
    assert frames[0].interlaced_frame
    assert max(np.abs(f.image - x).mean() for f, x in zip(read_frames(path), stored)) < 2

def test_ordinary_video_is_not_filtered(tmp_path):
    path, report = movie(tmp_path/'a.mp4', [woven(k) for k in range(6)], crf='10'), StreamReport('picture')
    assert min(combs(f.image) for f in read_frames(path, report=report)) > 5 and not report.notes and not probe(path).warnings

@pytest.fixture(scope='module')
def face():
    image = read_image(PHOTO).image[::2, ::2]
    return np.ascontiguousarray(image[:len(image) // 4 * 4, :image.shape[1] // 4 * 4])

def combed(x, k):
    "The picture on its way to the right, two moments in a frame"
    a, b = (np.roll(x, 2 * k + i, 1) for i in (0, 1))
    a[1::2] = b[1::2]
    return a

def test_plan_and_result_say_that_a_video_is_interlaced(tmp_path, face):
    path = movie(tmp_path/'a.mp4', [combed(face, k) for k in range(12)], **{'x264-params': 'tff=1', 'crf': '16'})
    assert INTERLACED in plan(path, Audio(TONE[:6000], 24000)).trouble
    r = lipsync(path, Audio(TONE[:6000], 24000), out=tmp_path/'o.mp4')
    assert r.warnings.count(INTERLACED) == 1 and r.n_frames == 12

# lengths

LIVE = [('a.webm', 'libvpx', 'libopus', dict(container_format='webm', container=dict(live='1'), piped=True, jitter=True)),
        ('b.webm', 'libvpx', None, dict(container_format='webm', container=dict(live='1'), piped=True, jitter=True)),
        ('a.mkv', 'libx264', 'libopus', dict(container_format='matroska', container=dict(live='1'), piped=True)),
        ('a.mp4', 'libx264', 'aac', dict(container_format='mp4', container=dict(movflags='frag_keyframe+empty_moov'), piped=True)),
        ('b.mp4', 'libx264', 'aac', dict(container_format='mp4', container=dict(movflags='frag_keyframe'), piped=True)),
        ('a.ts', 'libx264', 'aac', {}), ('a.flv', 'libx264', 'aac', dict(container=dict(flvflags='no_duration_filesize'), piped=True, container_format='flv')),
        ('a.h264', 'libx264', None, {}), ('a.m2v', 'mpeg2video', None, {}), ('a.mpg', 'mpeg2video', 'mp2', {}),
        ('a.avi', 'mpeg4', 'libmp3lame', dict(container_format='avi', piped=True)), ('a.ivf', 'libvpx', None, dict(container_format='ivf', piped=True))]

@pytest.mark.parametrize('name, codec, sound, options', LIVE)
def test_the_length_of_a_recording_without_one(tmp_path, name, codec, sound, options):
    path = movie(tmp_path/name, [np.full((64, 96, 3), 40 + 2 * i, np.uint8) for i in range(75)], codec, sound, **options)
    clip, frames = probe(path), list(read_frames(path))
    assert clip.duration == pytest.approx(3, abs=.08) and clip.n_frames == len(frames) == 75 and clip.fps == 25
    assert [a.duration for a in clip.audio] == pytest.approx([read_audio(path).duration] if sound else [], abs=.08)

def test_a_browser_recording_that_names_no_rate(tmp_path):
    path = movie(tmp_path/'a.webm', [np.full((64, 96, 3), 40 + 2 * i, np.uint8) for i in range(75)], 'libvpx', container_format='webm',
                 container=dict(live='1'), piped=True, jitter=True)
    data = path.read_bytes()
    at = data.index(b'\x23\xe3\x83')                    # DefaultDuration becomes an empty element
    size = 4 + data[at + 3] - 0x80
    path.write_bytes(data[:at] + bytes([0xec, 0x80 + size - 2]) + bytes(size - 2) + data[at + size:])
    clip = probe(path)
    assert clip.duration == pytest.approx(3, abs=.08) and 20 < clip.fps < 30 and clip.n_frames == 75

@pytest.mark.parametrize('fit', ['stretch', 'pingpong'])
def test_a_browser_recording_is_stretched_and_planned(tmp_path, face, fit):
    path = movie(tmp_path/'a.webm', [face] * 24, 'libvpx', container_format='webm', container=dict(live='1'), piped=True, rate=12)
    sound = Audio(TONE[:24000], 24000)
    expected = {'stretch': 1, 'pingpong': 2}[fit]
    assert plan(path, sound, fit=fit).video_seconds == pytest.approx(expected, abs=.05)
    r = lipsync(path, sound, out=tmp_path/'o.mp4', fit=fit)
    assert r.seconds == pytest.approx(expected, abs=.1) and ('sped up' in ' '.join(r.warnings)) == (fit == 'stretch')

def sound_file(path, codec, container_format, seconds=3, rate=48000, container=None, piped=True, **options):
    "Half a file of silence, then noise: guesses by the first bit rate are wrong"
    x = .3 * np.random.default_rng(0).standard_normal(seconds * rate).clip(-3, 3).astype(np.float32)
    x[:len(x) // 2] = 0
    with open(path, 'wb') as file, av.open(Pipe(file) if piped else str(path), 'w', format=container_format, options=container or {}) as out:
        a = out.add_stream(codec, rate=rate, layout='mono', options=options)
        fit = av.AudioResampler(a.codec_context.format.name, 'mono', rate)
        for i in range(0, len(x), 960):
            f = av.AudioFrame.from_ndarray(x[None, i:i + 960], 'fltp', 'mono')
            f.rate, f.pts, f.time_base = rate, i, Fraction(1, rate)
            for g in fit.resample(f):
                for p in a.encode(g): out.mux(p)
        for g in (*fit.resample(None), None):
            for p in a.encode(g): out.mux(p)
    return path

SOUNDS = [('a.webm', 'libopus', 'webm', dict(container=dict(live='1'))), ('a.ogg', 'libopus', 'ogg', {}), ('a.aac', 'aac', 'adts', {}),
          ('a.mp3', 'libmp3lame', 'mp3', dict(container=dict(write_xing='0'), flags='+qscale')), ('a.flac', 'flac', 'flac', {}),
          ('a.mka', 'libmp3lame', 'matroska', dict(container=dict(live='1'), flags='+qscale')), ('a.wav', 'pcm_s16le', 'wav', {}),
          ('a.m4a', 'aac', 'mp4', dict(container=dict(movflags='frag_keyframe+empty_moov')))]

@pytest.mark.parametrize('name, codec, container, options', SOUNDS)
def test_the_length_of_piped_sound(tmp_path, name, codec, container, options):
    path = sound_file(tmp_path/name, codec, container, **options)
    clip = probe(path)
    assert (clip.kind, clip.duration, clip.audio[0].duration, read_audio(path).duration) == ('audio', *3 * (pytest.approx(3, abs=.1),))

@pytest.mark.parametrize('size', [0, 0x7ffff000, 0xffffffff])
def test_a_wav_whose_header_has_a_placeholder(tmp_path, size):
    path = sound_file(tmp_path/'a.wav', 'pcm_s16le', 'wav', piped=False)
    data = bytearray(path.read_bytes())
    at = data.index(b'data')
    data[at + 4:at + 8] = size.to_bytes(4, 'little')
    path.write_bytes(data)
    assert probe(path).duration == pytest.approx(3, abs=.02) and read_audio(path).duration == pytest.approx(3, abs=.02)
