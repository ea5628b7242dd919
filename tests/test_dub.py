"""A video dubbed by a network: the official pipeline to the pixel, ours with everything around the mouth unchanged.
The network is a stand-in where its weights don't matter."""
import importlib, os, signal, subprocess, sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
import cv2, numpy as np, pytest
from skimage import data
from lipsync_kit import KitError, lipsync
from lipsync_kit.models.contract import RenderRequest, DrivingSignal
from lipsync_kit.faces.paste import lower_face, rect_around
from lipsync_kit.core import Audio
from lipsync_kit.faces.detectors.s3fd import S3FDFaces
from lipsync_kit.faces.track import track_faces
from lipsync_kit.media.write import Writer
from lipsync_kit.media.probe import probe
from lipsync_kit.media.read import read_audio, read_frames
from lipsync_kit.models.wav2lip import model as wav2lip
from lipsync_kit.models.wav2lip.card import Wav2LipSettings
from lipsync_kit.models.wav2lip.preprocess import (
    chunk_starts, face_input, padded_box, pasted, smoothed_boxes, wav2lip_mel)
from lipsync_kit.media.length import FITS, fitted

RATE = 16000

def tone(seconds, rate=RATE):
    t = np.arange(int(seconds * rate)) / rate
    return Audio((.3 * np.sin(2 * np.pi * 220 * t)).astype(np.float32), rate)

def signals(audio, face=None): return {face: DrivingSignal(audio=audio)}

def picture(i, side=256):
    "The astronaut's face, moving a little from frame to frame"
    M = cv2.getRotationMatrix2D((224, 110), 3 * np.sin(i / 7), 1.)
    M[:, 2] += [-96 + 4 * np.sin(i / 5), 4 * np.sin(i / 6)]
    return cv2.warpAffine(data.astronaut(), M, (side, side), borderMode=cv2.BORDER_REPLICATE)

@pytest.fixture(scope='module')
def film(tmp_path_factory):
    "A second of a moving face"
    path = tmp_path_factory.mktemp('film')/'film.mp4'
    with Writer(path, 256, 256, 25, crf=4) as w:
        for i in range(25): w.write(picture(i))
    return path

def loud(mel, faces):
    "A stand-in network: the lower half of the crop gets the level of the sound"
    out = faces[:, 3:].copy()
    out[:, :, 60:80, 40:56] = (mel.mean((1, 2, 3)) / 8 + .5)[:, None, None, None]
    return out

def mirror(mel, faces): return faces[:, 3:]

@pytest.fixture
def stand_in(monkeypatch):
    "Weights that nobody has are replaced by a function"
    def use(draw):
        monkeypatch.setattr(wav2lip, 'network', lambda *a, **k: draw)
        monkeypatch.setattr(wav2lip, 'S3FDBoxes', lambda *a, **k: Rects())
    return use

class Rects:
    "A detector that knows the answer"
    def __call__(self, frame, faces):
        x = round(float(frame.taken or frame.time) * 25)
        return 50 + x % 3, 40 + 2 * x % 5, 170 - x % 4, 200 + x % 7

@pytest.mark.parametrize('seconds', [.7, 1.9])
def test_original_is_the_official_program(film, stand_in, seconds):
    stand_in(loud)
    sound, frames = tone(seconds), list(read_frames(film))
    mel = wav2lip_mel(sound)
    starts = chunk_starts(mel.shape[1], 25.)
    frames = frames[:len(starts)]
    boxes = smoothed_boxes([padded_box(Rects()(f, []), (256, 256)) for f in frames])
    want = []
    for i, s in enumerate(starts):
        f, box = frames[i % len(frames)].image[..., ::-1], boxes[i % len(frames)]
        want.append(pasted(f, loud(mel[None, None, :, s:s + 16], face_input(f, box)[None])[0], box)[..., ::-1])
    model = wav2lip.load('wav2lip', 'cpu', Wav2LipSettings('original'))
    shown = ((f, []) for f in fitted(probe(film), seconds, model.fit))
    got = list(model.render(RenderRequest(probe(film), shown, signals(sound))))
    assert len(got) == len(want) and all(np.array_equal(a, b) for a, b in zip(got, want))

def test_best_changes_the_lower_face_only(film):
    pairs = list(track_faces(read_frames(film), smooth=False))
    got = list(wav2lip.Wav2LipModel(loud).render(RenderRequest(probe(film), iter(pairs), signals(tone(1.)))))
    for (frame, (face,)), image in zip(pairs, got):
        free = np.ones(frame.image.shape[:2], bool)
        rect_around(lower_face(face.points), .2 * face.iod + 4, (256, 256)).of(free)[:] = False
        assert np.array_equal(np.asarray(image)[free], frame.image[free])
        assert (image != frame.image).any()

def test_a_network_that_changes_nothing_leaves_the_face(film):
    "Cropping and pasting back costs little quality, also while the face moves"
    pairs = list(track_faces(read_frames(film), smooth=False))
    got = wav2lip.Wav2LipModel(mirror).render(RenderRequest(probe(film), iter(pairs), signals(tone(1.))))
    for (frame, _), image in zip(pairs, got):
        image = np.asarray(image)
        changed = (image != frame.image).any(-1)
        assert 10 * np.log10(255**2 / np.mean((image.astype(float) - frame.image)[changed]**2)) > 33

def test_each_face_has_its_voice(tmp_path, stand_in):
    loudest = []
    def noting(mel, faces):
        loudest.extend(mel.max((1, 2, 3)))
        return faces[:, 3:]
    stand_in(noting)
    with Writer(tmp_path/'two.mp4', 512, 256, 25) as w:
        for i in range(12): w.write(np.hstack([picture(i), picture(i)]))
    speech = read_audio_of_speech()
    silence = Audio(np.zeros(RATE, np.float32), RATE)
    r = lipsync(tmp_path/'two.mp4', {0: silence, 1: speech}, out=tmp_path/'out.mp4', model='wav2lip')
    left, right = np.array(loudest).reshape(-1, 2).T
    assert left.max() == -4 and right.max() > -1 and r.faces == 2
    assert abs(read_audio(r.path).duration - r.seconds) < .1

def read_audio_of_speech():
    from lipsync_kit.speech.tts import speak
    return speak('one two three four').audio

def test_a_face_without_a_voice_is_left_alone(tmp_path, stand_in):
    stand_in(lambda mel, faces: np.zeros_like(faces[:, 3:]))
    with Writer(tmp_path/'two.mp4', 512, 256, 25, crf=8) as w:
        for i in range(8): w.write(np.hstack([picture(i), picture(i)]))
    r = lipsync(tmp_path/'two.mp4', {1: tone(.32)}, out=tmp_path/'out.mp4', model='wav2lip', crf=4)
    before, after = next(read_frames(tmp_path/'two.mp4')).image.astype(int), next(read_frames(r.path)).image.astype(int)
    assert np.abs(before - after)[:, :256].mean() < 2 < 4 < np.abs(before - after)[100:220, 256:].mean()

@pytest.mark.parametrize('fit', FITS)
def test_lengths(film, stand_in, tmp_path, fit):
    stand_in(mirror)
    r = lipsync(film, tone(1.5), out=tmp_path/'out.mp4', model='wav2lip', fit=fit)
    want = 1. if fit == 'trim' else 1.5
    assert abs(r.seconds - want) <= .04 and abs(float(probe(r.path).duration) - want) < .05
    assert abs(read_audio(r.path).duration - want) < .06
    r = lipsync(film, tone(.6), out=tmp_path/'out.mp4', model='wav2lip', fit=fit)
    assert abs(r.seconds - (.6 if fit in ('trim', 'stretch', 'speech', 'walk') else 1.)) <= .04

@pytest.mark.parametrize('fps', [Fraction(24000, 1001), 24, 25, Fraction(30000, 1001), 30, 50, 60])
def test_ten_minutes_stay_in_time(tmp_path, fps):
    "A short video that goes on for ten minutes: every frame at its place, none missing, none twice"
    with Writer(tmp_path/'a.mp4', 32, 32, fps, crf=30) as w:
        for i in range(200): w.write(np.full((32, 32, 3), i, np.uint8))
    step, n, before = 1 / Fraction(fps), 0, None
    for f in fitted(probe(tmp_path/'a.mp4'), 600., 'loop'):
        assert before is None or abs(f.time - before - step) < Fraction(1, 1000)
        before, n = f.time, n + 1
    assert abs(n * step - 600) <= step and abs(before + step - 600) <= step

def test_a_still_speaks_through_the_same_door(stand_in, tmp_path):
    stand_in(loud)
    r = lipsync(picture(0), tone(.4), out=tmp_path/'out.mp4', model='wav2lip')
    assert r.n_frames == 10 and r.motion is None

def test_commercial_policy_names_the_weights(film, stand_in, monkeypatch):
    stand_in(mirror)
    with pytest.raises(KitError, match="forbids wav2lip .* instead"):
        lipsync(film, tone(.2), model='wav2lip', policy='commercial')
    monkeypatch.setenv('LIPSYNC_KIT_POLICY', 'commercial')
    with pytest.raises(KitError, match='forbids'): lipsync(film, tone(.2), model='wav2lip')

def test_missing_weights_say_how_to_get_them(film, tmp_path, monkeypatch):
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path))
    with pytest.raises(KitError, match='lipsync models download wav2lip'): lipsync(film, tone(.2), model='wav2lip')

def test_what_a_model_does_not_take_is_said(film):
    with pytest.raises(KitError, match='takes no preset'): lipsync(film, tone(.2), preset='original')
    request = RenderRequest(probe(film), iter(()), signals(tone(.2), face=0))
    with pytest.raises(KitError, match='one face with one voice'):
        list(wav2lip.Wav2LipModel(mirror, 'original').render(request))

RUN = '''
import os, signal, sys
from functools import partial
sys.path.insert(0, sys.argv[1])
from lipsync_kit.pipe import run
from lipsync_kit.media.resume import ResumableWriter
from test_dub import loud, wav2lip
run.ResumableWriter = partial(ResumableWriter, seconds=.5)
drawn = []
def counting(mel, faces): drawn.extend(faces); return loud(mel, faces)
wav2lip.network = lambda *a, **k: counting
def step(p):
    if p.share > float(sys.argv[5]): os.kill(os.getpid(), signal.SIGKILL)
run.lipsync(sys.argv[2], sys.argv[3], out=sys.argv[4], model=sys.argv[6], progress=step, mark=False)
print(len(drawn))
'''

@pytest.mark.parametrize('model', ['wav2lip', 'portrait'])
def test_a_killed_job_is_resumed(tmp_path, model):
    "Killed at 60 % and run again: finished parts are not drawn again, and the file equals one that was made at once"
    with Writer(tmp_path/'film.mp4', 256, 256, 25, audio=tone(3.), crf=8) as w:
        for i in range(75): w.write(picture(i))
    def run(out, until=2.):
        film = str(tmp_path/'film.mp4')
        command = [sys.executable, '-c', RUN, str(Path(__file__).parent), film, film, str(out), str(until), model]
        return subprocess.run(command, capture_output=True, text=True)
    whole, again = tmp_path/'whole.mp4', tmp_path/'again.mp4'
    first = run(again, .6)
    assert first.returncode == -signal.SIGKILL and not again.exists()
    assert len(list((tmp_path/'.again.mp4.parts').glob('*.mp4'))) >= 3
    second, once = run(again), run(whole)
    assert second.returncode == once.returncode == 0, second.stderr + once.stderr
    assert again.read_bytes() == whole.read_bytes() and not (tmp_path/'.again.mp4.parts').exists()
    if model == 'wav2lip': assert int(second.stdout) <= 75 - 3 * 12 + 8 < int(once.stdout) == 75

def test_s3fd_finds_and_the_landmarker_follows(film):
    finder, rects, asked = object.__new__(S3FDFaces), object.__new__(wav2lip.S3FDBoxes), []
    def boxes(image): asked.append(1); return np.float32([[80, 40, 180, 170, .99], [0, 0, 40, 40, .6]])   # a face and a mistake
    finder.boxes = rects.boxes = boxes
    pairs = list(track_faces(read_frames(film), detect=finder))
    assert all(len(faces) == 1 for _, faces in pairs) and len(asked) == 1
    assert rects(pairs[0][0], []) == (80, 40, 180, 170)

def test_synthetic_weights_are_not_taken_for_the_published_ones(tmp_path, monkeypatch):
    from lipsync_kit.hub.cards import available
    (tmp_path/'wav2lip.pth').write_bytes(b'PK' + bytes(1000))
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path))
    assert not available('wav2lip')

PHOTO = Path(__file__).parent.parent/'lipsync_kit'/'data'/'astronaut.jpg'

def app():
    from lipsync_kit import app
    return importlib.reload(app)

def test_the_app_offers_no_models_without_weights(tmp_path, monkeypatch):
    from lipsync_kit.webapp import models
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path))
    assert 'wav2lip' not in models.usable() and 'portrait' in models.usable()
    assert 'wav2lip_gan' in models.models_table() and 'research only' in models.models_table()

def pressed(a, job, text, stop_after=None):
    "What the app answers to a click"
    values = [s.default for s in a.visitor_settings().values()]
    def progress(share, desc=''):
        if stop_after is not None and share >= stop_after: a.cancel(SimpleNamespace(session_hash='me'))
    return a.make('me', job, progress, {}, 'Image', str(PHOTO), None, 'Text', text, None, None, 'portrait', *values)

def test_the_app_keeps_nothing_of_a_stopped_job():
    from lipsync_kit.webapp import jobs
    a = app()
    job = jobs.begin(SimpleNamespace(session_hash='me'))
    video, said = pressed(a, job, 'This is said for a while, until it is stopped. ' * 3, stop_after=.3)
    assert video is None and 'Stopped' in said and not list(Path(jobs.outputs().name).iterdir()) and not jobs.stops['me']
    old = Path(jobs.outputs().name)/'.talk.mp4.parts'
    old.mkdir()
    os.utime(old, (0, 0))
    jobs.remove_old()
    assert not old.exists()

def test_a_second_click_leaves_the_first_job_its_cancel_button():
    from lipsync_kit.webapp import jobs
    a = app()
    first, second = (jobs.begin(SimpleNamespace(session_hash='me')) for _ in range(2))
    assert first != second and len(jobs.stops['me']) == 2
    a.cancel(SimpleNamespace(session_hash='me'))
    assert all(stop.is_set() for stop in jobs.stops['me'].values())

def test_the_app_has_limits():
    from lipsync_kit.webapp import jobs
    a = app()
    video, said = pressed(a, jobs.begin(SimpleNamespace(session_hash='me')), 'a' * 6000)
    assert video is None and 'at most 5000' in said
    assert not {'weights', 'device', 'policy', 'mark'} & {*a.visitor_settings()}       # decided by whoever runs it
