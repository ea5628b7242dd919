"An avatar from a clip that the photo renderer makes of the bundled photograph: from the file to a talking video."
import json, math, os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
import cv2, numpy as np, pytest
import lipsync_kit
from lipsync_kit.avatar.clip import Limits, open_clip
from lipsync_kit.avatar.figures import judge
from lipsync_kit.avatar.make import make_avatar
from lipsync_kit.avatar.voice import fit_voice
from lipsync_kit.cli.main import run
from lipsync_kit.core import Audio, KitError
from lipsync_kit.faces.detect import landmarks
from lipsync_kit.media.probe import probe
from lipsync_kit.media.read import read_audio, read_frames, read_image
from lipsync_kit.media.write import Writer
from lipsync_kit.models.identity import Identity
from lipsync_kit.models.personal.model import learn_mouth, make_part, redrawn
from lipsync_kit.models.personal.mouth import mouth_of
from lipsync_kit.models.portrait.model import draw_moment
from lipsync_kit.models.portrait.still import prepare
from lipsync_kit.motion.audio2motion import speech_to_motion
from lipsync_kit.pipe.run import lipsync
from lipsync_kit.speech.tts import speak

LIMITS = Limits(seconds=5, speech=1, wide=.05)
TEXT = 'How about an apple, a plum, or a wide open mouth? We saw many old friends there, and my mother laughed.'

def filmed(path, audio, image, fps=12, seconds=None):
    "A film of a photograph that speaks"
    image = cv2.resize(image, None, fx=340 / max(image.shape[:2]), fy=340 / max(image.shape[:2]))
    image = image[:image.shape[0] // 2 * 2, :image.shape[1] // 2 * 2]
    track, still = speech_to_motion(audio, fps, motion_model='mel'), prepare(image, landmarks(image), head=False)
    with Writer(path, *image.shape[1::-1], fps, audio=audio, crf=12) as w:
        for t in track.times[:seconds and int(seconds * fps)]: w.write(draw_moment(still, track.at(t)))
    return path

@pytest.fixture(scope='module')
def photo(): return read_image(Path(lipsync_kit.__file__).parent/'data'/'astronaut.jpg').image[:330, 60:390]

@pytest.fixture(scope='module')
def film(tmp_path_factory, photo): return filmed(tmp_path_factory.mktemp('film')/'me.mp4', speak(TEXT).audio, photo)

@pytest.fixture(scope='module')
def clip(film): return open_clip(film, limits=LIMITS)

@pytest.fixture(scope='module')
def made(film): return make_avatar(film, film.with_suffix('.avatar'), steps=20, limits=LIMITS, consent='a photograph')

def test_the_clip_is_reported_and_judged(made):
    figures = dict(made.table)
    assert set(figures) == {'personal network', 'appearance model', 'photo renderer', 'photo, own openings', 'shut mouth'}
    assert figures['appearance model'].r > .8 and figures['appearance model'].lmd < figures['shut mouth'].lmd
    assert made.identity.facts['clip']['judged'] > .8 and made.identity.consent == 'a photograph'
    text = str(made)
    assert 'LMD' in text and 'appearance model' in text and '+ face' in text
    json.dumps(made.identity.facts)

def test_an_avatar_speaks_for_as_long_as_the_speech(made, film, tmp_path):
    speech = speak('Wow, a pea.').audio
    r = lipsync(made.path, speech, out=tmp_path/'talk.mp4', model='personal')
    assert abs(r.seconds - speech.duration) < .1 and r.size == (probe(film).width, probe(film).height)
    assert any('learned from the clip' in n for n in r.warnings)
    assert any(l.part == 'the prepared person' for l in r.licences)
    drawn = [f.image for f in read_frames(tmp_path/'talk.mp4')]
    own = [f.image for f, _ in zip(read_frames(film), drawn)]
    top = [np.abs(a[:80].astype(int) - b[:80]).mean() for a, b in zip(drawn, own)]
    low = [np.abs(a[80:].astype(int) - b[80:]).mean() for a, b in zip(drawn, own)]
    assert max(top) < 2 and max(low) > max(top)
    longer = lipsync(made.path, film, out=tmp_path/'long.mp4', painter='appearance', model='personal')
    assert abs(longer.seconds - read_audio(film).duration) < .2

def test_an_avatar_is_moved_and_its_film_goes_on_where_moments_meet(made, film, tmp_path):
    import shutil
    shutil.copy(made.path, tmp_path/'you.avatar')
    identity = Identity.load(tmp_path/'you.avatar')
    assert identity.source == film.name and {'film', 'transitions', 'span'} <= set(identity.arrays)
    speech = Audio(np.concatenate([read_audio(film).samples] * 3), read_audio(film).rate)
    r = lipsync(tmp_path/'you.avatar', speech, out=tmp_path/'long.mp4', model='personal', painter='appearance')
    assert abs(r.seconds - speech.duration) < .2
    drawn = [f.image[:90].astype(int) for f in read_frames(tmp_path/'long.mp4')]
    jumps = np.abs(np.diff(drawn, axis=0)).mean((1, 2, 3))
    own = np.abs(np.diff([f.image[:90].astype(int) for f in read_frames(film)], axis=0)).mean((1, 2, 3))
    assert jumps.max() < 2 * own.max() + 1

def test_an_avatar_draws_live_rests_and_stops_when_it_is_interrupted(made):
    from lipsync_kit.live.avatar import Avatar, SegmentEnd
    avatar, speech = Avatar(made.path, motion_model='mel'), speak('Wow, a plum.').audio
    def opening(groups): return np.array([(lambda p: np.linalg.norm(p[13] - p[14]) / np.linalg.norm(p[33] - p[263]))(landmarks(g[0].image).points) for g in groups])
    def say():
        avatar.push_audio(speech.samples, speech.rate)
        avatar.end_segment()
    rest = [avatar.next() for _ in range(6)]
    say()
    spoken, after = [avatar.next() for _ in range(math.ceil(speech.duration * 12))], [avatar.next() for _ in range(60)]    # and on past the film's end
    assert sum(isinstance(i, SegmentEnd) for g in spoken for i in g) == 1
    open_, shut = opening(spoken), opening(rest[2:] + after[2::12])
    assert open_.max() > .12 and np.sort(shut)[-2] < .06, (open_, shut)
    say()
    heard = [avatar.next() for _ in range(8)]
    assert abs(avatar.clear_buffer() - 8 / 12) <= .02 and opening([avatar.next() for _ in range(5)][2:]).max() < .08
    times = [g[0].time for g in rest + spoken + after + heard]
    assert times == [Fraction(i, 12) for i in range(len(times))] and spoken[0][0].image.shape == rest[0][0].image.shape
    avatar.close()
    with pytest.raises(KitError, match='for a video take wav2lip'): Avatar(made.path, 'portrait')

def test_another_video_of_the_same_person_and_a_stranger(made, photo, tmp_path):
    speech = speak('Wow.').audio
    bright = np.clip(photo * 1.1 + 8, 0, 255).astype(np.uint8)
    other = filmed(tmp_path/'other.mp4', speech, bright)
    r = lipsync(other, speech, out=tmp_path/'dub.mp4', model='personal', avatar=str(made.path))
    assert r.n_frames == probe(other).n_frames
    wide = filmed(tmp_path/'wide.mp4', speech, cv2.resize(photo, None, fx=1.3, fy=1))
    with pytest.raises(KitError, match='does not look like the person'):
        lipsync(wide, speech, out=tmp_path/'no.mp4', model='personal', avatar=str(made.path))
    assert not (tmp_path/'no.mp4').exists()
    with pytest.raises(KitError, match='lipsync avatar make'):
        lipsync(other, speech, out=tmp_path/'no.mp4', model='personal')

def test_a_shuffled_motion_loses_the_mouth(clip):
    known, tail = clip.split()
    mouth, _ = learn_mouth(clip, known, 0)
    straight = judge(clip, tail, redrawn(clip, mouth, tail, 'appearance'))
    order = np.random.default_rng(3).permutation(len(clip))
    shuffled = replace(clip, lips=clip.lips[order], opening=clip.opening[order])
    lost = judge(clip, tail, redrawn(shuffled, mouth, tail, 'appearance'))
    assert straight.r > .8 and lost.r < .5 and lost.lmd > straight.lmd

def test_eight_frames_are_learned_by_heart(clip):
    rows = np.linspace(3, len(clip) - 3, 8).astype(int)
    mouth, training = learn_mouth(clip, rows, 60)
    few, _ = learn_mouth(clip, rows, 1)
    def close(m):
        numbers = m.person.numbers(clip.lips[rows], clip.opening[rows], clip.pose[rows])
        painted = m.paint(training.data.images, numbers, name='network')
        x0, y0, x1, y1 = m.person.mouth_box
        true = training.data.images.astype(float)
        return -10 * np.log10(np.square(painted - true)[:, y0:y1, x0:x1].mean() / 255**2)
    assert close(mouth) > 27 and close(mouth) > close(few) + 2

def test_a_stopped_job_goes_on_and_leaves_nothing_behind(film, clip, tmp_path):
    class Stop(Exception): pass
    def stop(p):
        if p.share > .6: raise Stop
    state = tmp_path/'me.mouth.part'
    with pytest.raises(Stop): make_part(clip, 4, state, progress=stop)
    assert (tmp_path/'me.mouth.part.begin').exists()
    part = make_part(clip, 4, state)
    again = make_part(clip, 4, None)
    assert not list(tmp_path.glob('me.mouth.part*'))
    same = [k for k in part.arrays if not np.array_equal(part.arrays[k], again.arrays[k])]
    assert not same and mouth_of(part.arrays, part.facts).painter() is not None

def test_sound_that_is_not_theirs_is_refused(clip):
    with pytest.raises(KitError, match='does not go with the mouth'):
        fit_voice(replace(clip, audio=Audio(clip.audio.samples[::-1].copy(), clip.audio.rate)))

def test_the_command_says_what_is_wrong(tmp_path, film, capsys):
    assert run(['avatar', 'make', str(film), '-o', str(tmp_path/'a.avatar'), '-q']) == 2     # under ten seconds
    assert run(['avatar', 'make', str(film), '-o', str(tmp_path/'a.mp4'), '-q']) == 2
    assert run(['avatar', 'make', str(tmp_path/'none.mp4'), '-o', str(tmp_path/'a.avatar'), '-q']) == 2
    said = capsys.readouterr().err
    assert 'at least 10 s' in said and 'end it in .avatar' in said and 'there is no file' in said
    assert not list(tmp_path.iterdir())

def test_a_stop_says_what_is_kept(tmp_path, film, capsys, monkeypatch):
    "Nothing where the clip was looked at, the state where there is one"
    def stop(*a, **k): raise KeyboardInterrupt
    monkeypatch.setattr('lipsync_kit.avatar.clip.open_clip', stop)
    job = ['avatar', 'make', str(film), '-o', str(tmp_path/'me.avatar'), '-q']
    assert run(job) == 130
    assert 'the same command begins again' in (err := capsys.readouterr().err) and 'kept in' not in err
    (tmp_path/'me.mouth.part.begin').write_bytes(b'')
    assert run([*job, '--kind', 'mouth']) == 130 and 'kept in me.mouth.part' in capsys.readouterr().err
    assert not (tmp_path/'me.avatar').exists()

def test_a_place_that_cannot_be_written_is_said_before_anything_is_learned(tmp_path, film):
    def begun(p): raise AssertionError('learning began')
    (tmp_path/'dir.avatar').mkdir()
    with pytest.raises(KitError, match='is a folder'): make_avatar(film, tmp_path/'dir.avatar', LIMITS, begun)
    shut = tmp_path/'shut'
    shut.mkdir(mode=0o500)
    if os.access(shut, os.W_OK): shut = Path('/proc')      # the superuser writes anywhere else
    if not shut.is_dir(): pytest.skip('every folder can be written here')
    with pytest.raises(KitError, match="can't write to"): make_avatar(film, shut/'me.avatar', LIMITS, begun)

def test_a_mouth_that_stays_shut_and_a_sound_without_speech_are_said(tmp_path, photo):
    still, quiet = tmp_path/'still.mp4', Audio(np.zeros(6 * 16000, np.float32), 16000)
    with Writer(still, 330, 330, 12, audio=quiet) as w:
        for _ in range(72): w.write(photo)
    with pytest.raises(KitError) as e: open_clip(still, limits=LIMITS)
    assert 'mouth hardly moves' in str(e.value) and 'is the microphone on?' in str(e.value)

def test_the_plan_of_an_avatar_ends_with_its_speech(made):
    from lipsync_kit.pipe.plan import plan
    speech = speak('Wow.').audio
    assert abs(plan(made.path, speech).video_seconds - speech.duration) < .1
