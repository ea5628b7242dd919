"Files as people have them: damaged, changing in mid-stream, badly wired, of other libraries. Samples in shared/faults, others made here."
import csv, io, os
from fractions import Fraction
from pathlib import Path
import av, numpy as np, pytest
from lipsync_kit import lipsync, speech_to_motion
from lipsync_kit.cli.main import run
from lipsync_kit.core import Audio, n_frames
from lipsync_kit.media.probe import probe
from lipsync_kit.media.read import read_audio, read_frames, read_image
from lipsync_kit.media.streams import StreamReport
from lipsync_kit.media.write import Writer
from lipsync_kit.models.contract import Output
from lipsync_kit.models.portrait.model import Portrait
from lipsync_kit.motion.track import MotionTrack
from lipsync_kit.pipe.plan import plan
from lipsync_kit.pipe.run import process
from lipsync_kit.speech.tts import speak

FAULTS = Path(os.environ.get('LIPSYNC_FAULTS', Path(__file__).parents[2]/'shared/faults'))
PHOTO = Path(__file__).parent.parent/'lipsync_kit'/'data'/'astronaut.jpg'

def sample(name):
    path = FAULTS/name
    if not path.exists(): pytest.skip(f'{path} is not here')
    return path

@pytest.fixture(scope='module')
def voice(): return speak('Papa may have a map, and Bob may have five.').audio

def encoded(path, codec, frames, rate, layout):
    "A sound file of the given frames"
    with av.open(str(path), 'w') as out:
        s = out.add_stream(codec, rate=rate, layout=layout)
        for f in frames:
            for p in s.encode(f): out.mux(p)
        for p in s.encode(None): out.mux(p)
    return path

def frames_of(x, rate, layout):
    "Frames of samples [n,channels]"
    for i in range(0, len(x), 1024):
        f = av.AudioFrame.from_ndarray(np.ascontiguousarray((x[i:i+1024] * 32767).astype(np.int16).reshape(1, -1)), 's16', layout)
        f.rate, f.pts = rate, i
        yield f

def opening(audio): return float(speech_to_motion(audio, motion_model='mel').mouth_open.mean())

# sound

@pytest.mark.parametrize('suffix, codec', [('.mp3', 'libmp3lame'), ('.m4a', 'aac'), ('.ogg', 'libopus'), ('.flac', 'flac')])
def test_a_damaged_packet_does_not_end_the_sound(tmp_path, voice, suffix, codec):
    rate = 48000 if codec == 'libopus' else 24000
    x = np.repeat(voice.samples, rate // voice.rate)[:, None] if rate != voice.rate else voice.samples[:, None]
    path = encoded(tmp_path/f'a{suffix}', codec, frames_of(x, rate, 'mono'), rate, 'mono')
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle:middle + 60] = bytes(60)
    path.write_bytes(data)
    assert abs(read_audio(path).duration - voice.duration) < .4

def test_two_mp3s_joined(tmp_path, voice):
    one = encoded(tmp_path/'a.mp3', 'libmp3lame', frames_of(voice.samples[:, None], 24000, 'mono'), 24000, 'mono').read_bytes()
    (tmp_path/'b.mp3').write_bytes(one + b'TAG' + bytes(range(125)) + one)
    assert abs(read_audio(tmp_path/'b.mp3').duration - 2 * voice.duration) < .3

@pytest.mark.parametrize('name', ['song.mp3', 'song.m4a'])
def test_cover_art_is_no_video(name):
    path = sample(f'01-cover-art/{name}')
    assert probe(path).kind == 'audio' and read_audio(path).duration > 2

def test_more_than_eight_channels(tmp_path):
    a = read_audio(sample('05-many-channels/ten_channels.wav'))
    assert a.duration == pytest.approx(.5, abs=.1)
    with Writer(tmp_path/'a.mp4', 16, 16, audio=sample('05-many-channels/ten_channels.wav')) as w:
        for _ in range(12): w.write(np.zeros((16, 16, 3), np.uint8))
    assert probe(tmp_path/'a.mp4').audio

@pytest.mark.parametrize('mix', [(1, -1), (1, 0), (1, .001), (.5, .5)])
def test_channels_are_mixed_by_what_they_carry(tmp_path, voice, mix):
    path = encoded(tmp_path/'a.flac', 'flac', frames_of(voice.samples[:, None] * np.float32(mix), 24000, 'stereo'), 24000, 'stereo')
    assert opening(read_audio(path)) == pytest.approx(opening(voice), rel=.08)

@pytest.mark.parametrize('factor', [.3, .1, .03])
def test_the_mouth_opens_alike_at_every_level(voice, factor):
    assert opening(Audio(voice.samples * np.float32(factor), voice.rate)) == pytest.approx(opening(voice), rel=.05)

def test_the_first_track_that_is_not_silent():
    report = StreamReport('sound')
    a = read_audio(sample('17-silent-first-track/obs.mka'), report=report)
    assert np.abs(a.samples).max() > .01 and report.track == 1 and 'silent' in report.notes[0]

# pictures

def test_a_change_of_size_is_converted():
    report = StreamReport('picture')
    sizes = {f.image.shape for f in read_frames(sample('08-resolution-change/webrtc.webm'), report=report)}
    assert len(sizes) == 1 and 'changes to 192x192' in report.notes[0]

def test_a_damaged_video_is_read_to_its_end():
    report = StreamReport('picture')
    assert sum(1 for _ in read_frames(sample('10-damaged-video/corrupt.mp4'), report=report)) >= 148 and report.skipped

def test_hdr_looks_like_the_ordinary_video():
    hdr, sdr = (next(read_frames(sample(f'03-hdr/{n}'))).image.astype(int) for n in ('hlg.mov', 'sdr_reference.mp4'))
    assert np.abs(hdr.mean((0, 1)) - sdr.mean((0, 1))).max() < 5

def test_colour_profiles_are_heeded():
    a, b = (read_image(sample(f'14-icc/{n}')).image.astype(int) for n in ('vivid_p3.jpg', 'vivid_ref.png'))
    assert np.abs((a - b).mean((0, 1))).max() < 1.5

# whole jobs

@pytest.mark.parametrize('name', ['06-avi-mp3/mp3.avi', '08-resolution-change/webrtc.webm', '10-damaged-video/corrupt.mp4', '16-one-fps/slides.mp4'])
def test_a_whole_video(tmp_path, name):
    out = tmp_path/'o.mp4'
    assert run(['talk', str(sample(name)), '-o', str(out), '-q', '--motion-model', 'mel']) == 0
    a, b = probe(sample(name)), probe(out)
    assert b.duration == pytest.approx(a.duration or b.duration, abs=.2) and b.fps >= 24 and b.audio

@pytest.mark.parametrize('name', ['01-cover-art/song.mp3', '07-adpcm/adpcm.wav', '17-silent-first-track/obs.mka'])
def test_a_whole_still(tmp_path, name):
    out = tmp_path/'o.mp4'
    assert run(['talk', str(PHOTO), str(sample(name)), '-o', str(out), '-q', '--size', '96', '--motion-model', 'mel']) == 0
    assert np.abs(read_audio(out).samples).max() > .01

def test_a_clip_keeps_its_own_sound_beside_a_motion_track(tmp_path):
    clip, track, out = sample('23-video-own-sound-with-motion/clip.mp4'), sample('23-video-own-sound-with-motion/track.json'), tmp_path/'o.mp4'
    assert run(['talk', str(clip), '--motion', str(track), '-o', str(out), '-q']) == 0 and probe(out).audio

# tracks of spreadsheets

def test_a_track_from_a_european_spreadsheet(tmp_path):
    track = MotionTrack(25, np.zeros((3, 6)), np.zeros((3, 52)), [0, .1, .2])
    track.save(tmp_path/'a.csv')
    rows = list(csv.reader(io.StringIO((tmp_path/'a.csv').read_text())))
    (tmp_path/'b.csv').write_text('\n'.join(';'.join(c.replace('.', ',') for c in r) for r in rows) + '\n' + ';' * 65 + '\n')
    again = MotionTrack.load(tmp_path/'b.csv')
    assert np.allclose(again.mouth_open, [0, .1, .2]) and again.fps == 25

def test_a_track_that_begins_late_is_held(tmp_path):
    MotionTrack(25, np.zeros((3, 6)), np.zeros((3, 52)), [.3, .1, .2]).save(tmp_path/'a.csv')
    rows = list(csv.reader(io.StringIO((tmp_path/'a.csv').read_text())))
    for r in rows[1:]: r[0] = str(float(r[0]) + 1)
    (tmp_path/'b.csv').write_text('\n'.join(','.join(r) for r in rows))
    late = MotionTrack.load(tmp_path/'b.csv')
    assert len(late) == 28 and np.allclose(late.mouth_open[:26], .3) and 'begins at 1.00 s' in late.notes[0]

def test_effects_keep_the_frames_of_a_sparse_video(tmp_path):
    "Only a mouth that speaks needs more frames than the video has"
    with Writer(tmp_path/'a.mp4', 320, 240, 2) as w:
        for i in range(8): w.write(np.full((240, 320, 3), 20 * i, np.uint8))
    r = process(tmp_path/'a.mp4', 'sharpen', tmp_path/'b.mp4', mark=False)
    assert r.n_frames == len(list(read_frames(r.path))) == 8 and r.seconds == 4

def test_a_model_may_have_a_rate_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(Portrait, 'output', lambda self, clip, fps: Output((clip.width, clip.height), Fraction(10)))
    sound = speak('Hello.').audio
    r = lipsync(PHOTO, sound, out=tmp_path/'a.mp4', size=160)
    assert r.fps == probe(r.path).fps == 10
    assert r.n_frames == len(list(read_frames(r.path))) == n_frames(sound.duration, 10)

def test_a_plan_knows_where_the_video_ends(tmp_path):
    image = read_image(PHOTO).image[::2, ::2]
    with Writer(tmp_path/'a.mp4', image.shape[1] // 2 * 2, image.shape[0] // 2 * 2, 12) as w:
        for _ in range(24): w.write(image[:image.shape[0] // 2 * 2, :image.shape[1] // 2 * 2])
    tone = Audio(.1 * np.sin(np.arange(8000) / 9), 16000)
    got = {fit: plan(tmp_path/'a.mp4', tone, fit=fit).video_seconds for fit in ('pingpong', 'trim', 'stretch')}
    assert got == dict(pingpong=2, trim=.5, stretch=.5)
