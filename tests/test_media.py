"What phones and editors make: read as it is seen, written with sound and picture together."
import os
from dataclasses import replace
from fractions import Fraction
import av, numpy as np, pytest
from PIL import Image
from lipsync_kit.core import KitError, as_fps
from lipsync_kit.media import length
from lipsync_kit.media.edit import concatenate, side_by_side, to_moviepy
from lipsync_kit.media.join import join, packets_of
from lipsync_kit.media.provenance import read_mark
from lipsync_kit.media.write import Writer
from lipsync_kit.media.probe import probe
from lipsync_kit.media.read import read_audio, read_frames, read_image

RATES = '24000/1001', 24, 25, '30000/1001', 30, 50, 60
MARKS = .5, 3.5    # about when it flashes and clicks, seconds

def grey(v, w=64, h=48, fmt='yuv420p'):
    return av.VideoFrame.from_ndarray(np.full((h, w, 3), v, np.uint8), 'rgb24').reformat(format=fmt)

def raw_video(path, frames, times, step, sound=(), rate=48000, codec='libx264', pix='yuv420p', layout='mono',
              acodec='aac', tracks=1, sar=None, options=None):
    "A file made with PyAV alone, so that reader and writer are not judged by themselves"
    with av.open(str(path), 'w') as out:
        v = out.add_stream(codec, rate=60, options=options or {})
        v.width, v.height, v.pix_fmt, v.time_base = frames[0].width, frames[0].height, pix, step
        v.codec_context.time_base = step
        if sar: v.codec_context.sample_aspect_ratio = sar
        streams = [out.add_stream(acodec, rate=rate, layout=layout) for _ in range(tracks if len(sound) else 0)]
        for f, t in zip(frames, times):
            f.pts, f.time_base = round(t / step), step
            for p in v.encode(f): out.mux(p)
        for p in v.encode(None): out.mux(p)
        for i, a in enumerate(streams): raw_sound(out, a, sound * .5**i, rate, layout)

def raw_sound(out, a, samples, rate, layout):
    fit, n = av.AudioResampler(a.codec_context.format.name, layout, rate), av.AudioLayout(layout).nb_channels
    for i in range(0, len(samples), 1024):
        f = av.AudioFrame.from_ndarray(np.repeat(samples[None, i:i+1024], n, 0).astype(np.float32), 'fltp', layout)
        f.rate, f.pts, f.time_base = rate, i, Fraction(1, rate)
        for g in fit.resample(f):
            for p in a.encode(g): out.mux(p)
    for g in fit.resample(None):
        for p in a.encode(g): out.mux(p)
    for p in a.encode(None): out.mux(p)

def flash_and_click(path, fps=None, rate=48000):
    "A picture that turns white for one frame and a click that comes with it; without `fps` at uneven times"
    if fps: times, step = [i / as_fps(fps) for i in range(int(4 * as_fps(fps)))], 1 / as_fps(fps)
    else:
        step = Fraction(1, 1000)
        gaps = np.random.default_rng(0).integers(17, 70, 200).cumsum()
        times = [Fraction(0)] + [Fraction(int(g), 1000) for g in gaps if g < 4000]
    lit = [min(range(len(times)), key=lambda i: abs(times[i] - m)) for m in MARKS]
    sound = np.zeros(4 * rate, np.float32)
    for i in lit: sound[round(times[i] * rate):][:48] = .9
    frames = [grey(235 if i in lit else 20) for i in range(len(times))]
    raw_video(path, frames, times, step, sound, rate, acodec='pcm_s16le')
    return path

def offsets(path):
    "Seconds from each flash to its click"
    seen = [(float(f.time), f.image.mean()) for f in read_frames(path)]
    a = read_audio(path)
    res = []
    for m in MARKS:
        flash = max((s for s in seen if abs(s[0] - m) < .4), key=lambda s: s[1])[0]
        lo = int((m - .4) * a.rate)
        near = np.abs(a.samples[lo:lo + int(.8 * a.rate)])
        res.append((lo + int(np.argmax(near > .5 * near.max()))) / a.rate - flash)
    return np.array(res)

@pytest.mark.parametrize('fps', [*RATES, None])
@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.webm'])
def test_sound_and_picture_stay_together(tmp_path, fps, suffix):
    src = flash_and_click(tmp_path/'src.mkv', fps)
    assert np.abs(offsets(src)).max() < .003       # of the reader alone
    clip, out = probe(src), tmp_path/f'out{suffix}'
    options = dict(audio=read_audio(src), variable=fps is None, preset='ultrafast')
    with Writer(out, clip.width, clip.height, clip.fps, **options) as w:
        for f in read_frames(src): w.write(f.image, f.time)
    assert w.n == sum(1 for _ in read_frames(out)) == sum(1 for _ in read_frames(src))
    assert np.abs(offsets(out)).max() <= 1 / float(as_fps(fps or 60))

def test_copied_sound_stays_together(tmp_path):
    src, out = flash_and_click(tmp_path/'src.mkv', 25), tmp_path/'out.mp4'
    at = [Fraction(i, 25) for i in range(100)]
    raw_video(tmp_path/'aac.mp4', [grey(20)] * 100, at, Fraction(1, 25), read_audio(src).samples)
    with Writer(out, 64, 48, 25, audio=tmp_path/'aac.mp4') as w:
        for f in read_frames(src): w.write(f.image, f.time)
    assert np.abs(offsets(out)).max() <= .04
    packets = lambda p: [bytes(k) for k in av.open(str(p)).demux(audio=0) if k.size]
    assert packets(out) == packets(tmp_path/'aac.mp4') and len(packets(out)) > 100

def one(path, n=5, **kw):
    frames = [grey(90, kw.pop('w', 64), kw.pop('h', 48), kw.get('pix', 'yuv420p')) for _ in range(n)]
    raw_video(path, frames, [Fraction(i, 25) for i in range(n)], Fraction(1, 25), **kw)
    return path

def test_phone_rotation(media):
    c = probe(media/'clips'/'derived_rotation_metadata.mp4')
    f = next(read_frames(c.path))
    assert c.rotation in (90, 270) and f.image.shape[:2] == (c.height, c.width) == (288, 360)   # stored on its side

@pytest.mark.parametrize('w,h', [(63, 48), (64, 47), (63, 47), (1, 1), (2, 3)])
def test_odd_sizes_keep_their_pixels(tmp_path, w, h):
    image = np.random.default_rng(0).integers(60, 200, (h, w, 1), np.uint8).repeat(3, -1)
    with Writer(tmp_path/'a.mp4', w, h, crf=1) as out:
        for _ in range(3): out.write(image)
    back = next(read_frames(tmp_path/'a.mp4')).image
    assert back.shape[:2] == (h + h % 2, w + w % 2)
    assert np.abs(back[:h, :w].astype(int) - image).mean() < 3

@pytest.mark.parametrize('sar,width', [(Fraction(4, 3), 85), (Fraction(1, 2), 32)])
def test_non_square_pixels(tmp_path, sar, width):
    p = one(tmp_path/'a.mp4', sar=sar)
    assert probe(p).width == width == next(read_frames(p)).image.shape[1]

def test_ten_bits(tmp_path):
    p = one(tmp_path/'a.mp4', pix='yuv420p10le')
    f = next(read_frames(p))
    assert f.image.dtype == np.uint8 and abs(f.image.mean() - 90) < 3

@pytest.mark.parametrize('name,codec,pix', [('a.mov', 'qtrle', 'argb'), ('b.mov', 'png', 'rgba')])
def test_alpha(tmp_path, name, codec, pix):
    x = np.full((48, 64, 4), 90, np.uint8)
    x[:, :32, 3] = 0
    x[:, 32:, 3] = 255
    frames = [av.VideoFrame.from_ndarray(x, 'rgba').reformat(format=pix) for _ in range(3)]
    raw_video(tmp_path/name, frames, [Fraction(i, 25) for i in range(3)], Fraction(1, 25), codec=codec, pix=pix)
    f = next(read_frames(tmp_path/name))
    assert probe(tmp_path/name).alpha and f.alpha is not None
    assert f.alpha[:, :30].max() < 10 and f.alpha[:, 34:].min() > 245

def test_no_sound(tmp_path):
    p = one(tmp_path/'a.mp4')
    assert not probe(p).audio
    with pytest.raises(KitError, match='has no sound'): read_audio(p)

def test_several_tracks(tmp_path):
    tone = np.sin(np.arange(48000) / 20).astype(np.float32)
    p = one(tmp_path/'a.mkv', n=25, sound=tone, tracks=3)
    assert len(probe(p).audio) == 3 and '3 audio tracks' in ' '.join(probe(p).warnings)
    loud = [np.abs(read_audio(p, i).samples).mean() for i in range(3)]
    assert loud[0] > 1.5 * loud[1] > 2 * loud[2]
    with pytest.raises(KitError, match='track 3'): read_audio(p, 3)

@pytest.mark.parametrize('layout', ['mono', 'stereo', '5.1'])
@pytest.mark.parametrize('rate', [8000, 11025, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize('suffix', ['.mp4', '.webm'])
def test_channels_and_rates(tmp_path, layout, rate, suffix):
    tone = .5 * np.sin(np.arange(rate) * 2 * np.pi * 440 / rate).astype(np.float32)
    with av.open(str(tmp_path/'a.wav'), 'w') as out:
        raw_sound(out, out.add_stream('pcm_s16le', rate=rate, layout=layout), tone, rate, layout)
    a = read_audio(tmp_path/'a.wav')
    assert a.rate == rate and len(a.samples) == rate and np.abs(a.samples - tone).max() < .01
    with Writer(tmp_path/f'b{suffix}', 64, 48, audio=tmp_path/'a.wav', preset='ultrafast') as w:
        for _ in range(25): w.write(np.full((48, 64, 3), 90, np.uint8))
    i, b = probe(tmp_path/f'b{suffix}').audio[0], read_audio(tmp_path/f'b{suffix}')
    assert i.channels == av.AudioLayout(layout).nb_channels and abs(b.duration - 1) < .08
    spectrum = np.abs(np.fft.rfft(b.samples[:b.rate // 2]))
    assert abs(spectrum.argmax() * 2 - 440) <= 4

@pytest.mark.parametrize('name,codec', [
    ('a.wav', 'pcm_s16le'), ('a.mp3', 'libmp3lame'), ('a.flac', 'flac'), ('a.m4a', 'aac'),
    ('a.ogg', 'flac'), ('b.ogg', 'libopus')])
def test_sound_files(tmp_path, name, codec):
    tone = .5 * np.sin(np.arange(48000) / 20).astype(np.float32)
    with av.open(str(tmp_path/name), 'w') as out:
        raw_sound(out, out.add_stream(codec, rate=48000, layout='stereo'), tone, 48000, 'stereo')
    a = read_audio(tmp_path/name)
    assert probe(tmp_path/name).kind == 'audio' and a.rate == 48000
    assert abs(a.duration - 1) < .06 and .4 < np.abs(a.samples).max() < .6

PICTURE = np.linspace(0, 255, 64*48).astype(np.uint8).reshape(48, 64)

@pytest.mark.parametrize('name,mode', [
    ('a.png', 'RGB'), ('a.jpg', 'RGB'), ('a.webp', 'RGB'), ('g.png', 'L'), ('g.jpg', 'L'), ('p.png', 'P'),
    ('r.png', 'RGBA'), ('la.png', 'LA'), ('c.jpg', 'CMYK'), ('one.png', '1'), ('t.tiff', 'RGB'), ('b.bmp', 'RGB')])
def test_pictures(tmp_path, name, mode):
    Image.fromarray(PICTURE).convert('RGB').convert(mode).save(tmp_path/name)
    f = read_image(tmp_path/name)
    assert f.image.shape == (48, 64, 3) and f.image.dtype == np.uint8 and probe(tmp_path/name).kind == 'image'
    want = np.asarray(Image.open(tmp_path/name).convert('RGB'), float)
    assert np.abs(f.image - want).mean() < 1
    assert (f.alpha is not None) == (mode in ('RGBA', 'LA'))

def test_sixteen_bit_picture(tmp_path):
    Image.fromarray(PICTURE.astype(np.uint16) * 257).save(tmp_path/'a.png')
    assert np.abs(read_image(tmp_path/'a.png').image[..., 0].astype(int) - PICTURE).max() <= 1

@pytest.mark.parametrize('turn', range(1, 9))
def test_exif_orientation(tmp_path, turn):
    from PIL import ImageOps
    im, exif = Image.fromarray(np.stack([PICTURE] * 3, -1)), Image.Exif()
    exif[274] = turn
    im.save(tmp_path/'a.png', exif=exif)
    want = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path/'a.png')))
    got = read_image(tmp_path/'a.png').image
    c = probe(tmp_path/'a.png')
    assert np.array_equal(got, want) and (c.height, c.width) == want.shape[:2]

def test_moving_gif(tmp_path):
    ims = [Image.fromarray(np.full((48, 64), v, np.uint8)) for v in (40, 120, 200)]
    ims[0].save(tmp_path/'a.gif', save_all=True, append_images=ims[1:], duration=200)
    fs = list(read_frames(tmp_path/'a.gif'))
    assert probe(tmp_path/'a.gif').kind == 'video' and np.allclose([f.image.mean() for f in fs], [40, 120, 200], atol=3)
    assert [float(f.time) for f in fs] == [0, .2, .4]

def test_cut_off_mp4(tmp_path):
    whole = flash_and_click(tmp_path/'a.mkv', 25)
    raw_video(tmp_path/'a.mp4', [grey(20)] * 50, [Fraction(i, 25) for i in range(50)], Fraction(1, 25))
    data = (tmp_path/'a.mp4').read_bytes()
    (tmp_path/'b.mp4').write_bytes(data[:len(data) * 2 // 3])
    for f in probe, read_image, read_audio, lambda p: list(read_frames(p)):
        with pytest.raises(KitError, match='b.mp4'): f(tmp_path/'b.mp4')
    data = whole.read_bytes()
    (tmp_path/'b.mkv').write_bytes(data[:len(data) // 2])
    n = len(list(read_frames(tmp_path/'b.mkv')))
    assert 20 < n < 90 and read_audio(tmp_path/'b.mkv').duration > 1 and probe(tmp_path/'b.mkv').kind == 'video'

def test_every_clip_is_read(media):
    for p in sorted((media/'clips').iterdir()):
        c, last = probe(p), None
        for i, f in enumerate(read_frames(p, 0, 1)):
            assert f.image.shape == (c.height, c.width, 3), p
            assert last is None or f.time > last, p
            last = f.time
        assert i >= 10, (p, i)
        if c.audio: assert abs(read_audio(p).duration - c.duration) < 1.5, p

def test_every_picture_and_speech_is_read(media):
    for p in sorted((media/'portraits').iterdir()):
        assert read_image(p).image.shape[:2] == (probe(p).height, probe(p).width), p
    for p in sorted((media/'speech').iterdir()): assert read_audio(p).duration > 1, p

READERS = dict(
    probe=probe, read_image=read_image, read_audio=read_audio, read_mark=read_mark,
    read_frames=lambda p: next(read_frames(p)), packets_of=lambda p: next(packets_of(p, Fraction(0), Fraction(25))),
    join=lambda p: join([(p, 0)], p.with_name('out.mp4')),
    to_moviepy=to_moviepy, concatenate=lambda p: concatenate([p], p.with_name('out.mp4')),
    side_by_side=lambda p: side_by_side([p], p.with_name('out.mp4')))

def lists_of(private):
    "Files that name another one, by a kind of list"
    return dict(
        hls=f'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{private}\n#EXT-X-ENDLIST\n',
        hls_of_urls=f'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:{private}\n#EXT-X-ENDLIST\n',
        hls_of_lists=f'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{private}\n',
        concat=f"ffconcat version 1.0\nfile '{private}'\n",
        concat_of_urls=f"ffconcat version 1.0\nfile 'file:{private}'\n",
        dash='<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
             f'<Representation id="1" bandwidth="1"><BaseURL>{private}</BaseURL></Representation>'
             '</AdaptationSet></Period></MPD>',
        sdp='v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n',
        pls=f'[playlist]\nFile1={private}\n')

@pytest.mark.parametrize('kind', list(lists_of('')))
@pytest.mark.parametrize('suffix', ['.m3u8', '.mp4', '.wav', '.ffconcat', '.sdp', '.png'])
def test_lists_of_files_are_refused(tmp_path, kind, suffix):
    private = one(tmp_path/'private.mkv', n=25, sound=np.zeros(48000, np.float32))
    p = tmp_path/f'a{suffix}'
    p.write_text(lists_of(private)[kind])
    for read in READERS.values():
        with pytest.raises(KitError, match='list of files'): read(p)
    with pytest.raises(KitError, match='list of files'), Writer(tmp_path/'out.mp4', 64, 48, audio=p) as w:
        w.write(np.zeros((48, 64, 3), np.uint8))
    assert not (tmp_path/'out.mp4').exists()

@pytest.mark.parametrize('name', ['private%03d.png', 'private*.png', 'private%03d.exr', 'concat:private001.png',
                                  'file:private001.png'])
def test_names_are_not_patterns_or_addresses(tmp_path, monkeypatch, name):
    Image.fromarray(PICTURE).save(tmp_path/'private001.png')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KitError, match='there is no file'): probe(name)
    if os.name == 'nt': return                        # which allows no such names
    (tmp_path/name).write_text('not a picture')
    for read in READERS.values():
        with pytest.raises(KitError, match="can't be read"): read(tmp_path/name)

def test_the_way_back_holds_frames_of_the_file(tmp_path, monkeypatch):
    p = one(tmp_path/'a.mp4', n=50)
    clip = replace(probe(p), width=16, height=12)     # as after `size=16`
    monkeypatch.setattr(length, 'HELD', 64 * 48 * 3 * 6)
    pieces = []
    def noted(path, start, end):
        pieces.append(sum(1 for _ in read_frames(path, start, end)))
        return read_frames(path, start, end)
    monkeypatch.setattr(length, 'read_frames', noted)
    assert sum(1 for _ in length.backwards(clip, Fraction(2))) == 50 and max(pieces) <= 7
