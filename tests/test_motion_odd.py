"Motion at its edges: closures in real voices, sounds without a voice, symbols of every language, files with odd values"
import json
import numpy as np, pytest
from lipsync_kit.core import Audio, KitError
from lipsync_kit.media.read import read_audio
from lipsync_kit.motion.basis import load_basis
from lipsync_kit.motion.rules import VISEMES, is_bite, is_closed, visemes
from lipsync_kit.motion.audio2motion import speech_to_motion
from lipsync_kit.motion.track import MotionTrack
from lipsync_kit.speech.tts import speak

TEXT = 'Perhaps people prefer paper maps, and five vans move slowly. Bob may be happy.'
SHUT = .01  # inter-ocular distances: what counts as closed
FIELDS = 'lips', 'blendshapes', 'mouth_open', 'head', 'bite', 'press'

@pytest.fixture(scope='module')
def said(): return speak(TEXT)

@pytest.fixture(scope='module', params=['auto', 'rules'])
def track(said, request): return speech_to_motion(said.audio, 25, said.phonemes, motion_model=request.param)

def share(track, which, x, least):
    "Share of the sounds during which, or up to 0.12 s before, a curve reaches a level"
    spans = [(p.start - .12, p.end + .04) for p in track.phonemes if which(p.symbol)]
    t = track.times
    return np.mean([(x[(t >= a) & (t <= b)] >= least).any() for a, b in spans]) if spans else None

def sound(track): assert all(np.isfinite(getattr(track, k)).all() for k in FIELDS) and (track.mouth_open >= 0).all()

def test_lips_meet_for_a_voice(track):
    assert share(track, is_closed, -track.mouth_open, -SHUT) >= .9
    assert share(track, is_closed, track.press, .9) >= .9
    assert share(track, is_bite, track.bite, .7) >= .9
    assert track.mouth_open.max() > .1 and .02 < track.mouth_open.std() < .15

@pytest.mark.parametrize('name', ['girl_en', 'hdtf_radio31_en', 'speech_fr', 'poem_zh'])
def test_lips_meet_for_people(media, name):
    t = speech_to_motion(read_audio(media/'speech'/f'{name}.wav'))
    sound(t)
    assert share(t, is_closed, -t.mouth_open, -SHUT) >= .9

@pytest.mark.parametrize('x', [np.zeros(16_000), np.full(16_000, .4), np.zeros(800), np.zeros(1)])
def test_no_voice_is_a_closed_mouth(x):
    t = speech_to_motion(Audio(x, 16_000))
    sound(t)
    assert t.mouth_open.max() == 0 and not t.press.any() and not t.bite.any()

def test_every_symbol_has_a_shape():
    for s in ['', ' ', '%', '一', 't͡ɕʰ', 'p͈', 'ɯi', 'ẽ', 'aʊ', '⁽', 'wʌ', 'ʙ', 'W', '😀', 'pp', '\n']:
        assert set(visemes(s)) <= set(VISEMES)
    for s in 'p b m pʰ p͈ ɓ'.split(): assert is_closed(s) and not is_bite(s)
    for s in 'f v ɱ'.split(): assert is_bite(s) and not is_closed(s)

def test_the_opening_that_a_person_writes_is_what_is_drawn(track, tmp_path):
    d = json.loads(track.save(tmp_path/'a.json').read_text())
    wanted = .3*np.abs(np.sin(np.arange(len(track))/5))
    wanted[:5] = 0
    for lips in (True, False):
        e = dict(d, mouth_open=wanted.tolist())
        e = e if lips else {k: v for k, v in e.items() if k != 'lips'}
        (tmp_path/'b.json').write_text(json.dumps(e))
        t = MotionTrack.load(tmp_path/'b.json')
        np.testing.assert_allclose(load_basis().aperture(t.lips), wanted, atol=2e-3)
        np.testing.assert_allclose(t.mouth_open, wanted, atol=1e-5)

BAD = [None, True, 5, -1, 'x', [None], [[]], ['a'], {'a': 1}, float('nan'), 1e400, 10**400, [[1, 2]], -5.5]

def test_a_file_that_is_wrong_gets_one_message(tmp_path):
    t = MotionTrack(25, np.zeros((4, 6)), np.zeros((4, 52)), np.linspace(0, .2, 4), phonemes=[('p', 0, .1)])
    good = json.loads(t.save(tmp_path/'a.json').read_text())
    whole = [{**good, k: b} for k in good for b in BAD]
    last = [{**good, k: good[k][:-1] + [b]} for k in good if isinstance(good[k], list) and good[k] for b in BAD]
    texts = [json.dumps(d) for d in whole + last] + ['', ' ', '{', '[]', 'null', '['*100_000, '1'*6000, '\0'*9]
    refused = 0
    for text in texts:
        (tmp_path/'b.json').write_text(text)
        try: sound(MotionTrack.load(tmp_path/'b.json'))
        except KitError as e:
            refused += 1
            assert 'b.json' in str(e) and len(str(e)) < 300 + len(str(tmp_path)) and '\n' not in str(e)
    assert refused > .7*len(texts)

@pytest.mark.parametrize('text,what', [
    ('time\n0\n.04\n.5\n', 'evenly'), ('time,mouth_open\n0,.1\n.04,nan\n', 'frame 1'),
    ('time\nnan\nnan\n', 'finite'), ('time,jawopn\n0,1\n', 'jawOpen')])
def test_a_csv_that_is_wrong_gets_one_message(tmp_path, text, what):
    (tmp_path/'a.csv').write_text(text)
    with pytest.raises(KitError, match=what): MotionTrack.load(tmp_path/'a.csv')
