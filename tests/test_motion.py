"Motion as a user meets it: every sound, every rate, edited files, live sound"
import json
from functools import lru_cache
import numpy as np, pytest
from lipsync_kit.core import ARKIT, Audio, KitError, Phoneme
from lipsync_kit.motion.basis import load_basis
from lipsync_kit.motion.idle import EMOTIONS
from lipsync_kit.motion.rules import is_bite, is_closed, visemes
from lipsync_kit.motion.audio2motion import speech_to_motion, stream_motion
from lipsync_kit.motion.track import MotionTrack, join
from lipsync_kit.speech.tts import speak

TEXT = 'Bob may pay Peter for five blue maps. We opened a wide window, Pam.'

@lru_cache(None)
def said(): return speak(TEXT)

@lru_cache(None)
def motion(name='rules', fps=25, **kw): return speech_to_motion(said().audio, fps, said().phonemes, name, **kw)

@pytest.mark.parametrize('fps', [20, '24000/1001', 25, '30000/1001', 50, 60, 120])
@pytest.mark.parametrize('phase', [0, .013, .027])
def test_lips_meet(fps, phase):
    "p, b and m close and f and v bite at any frame rate and wherever the frames fall"
    a = said().audio
    late = Audio(np.concatenate([np.zeros(int(phase*a.rate), np.float32), a.samples]), a.rate)
    ps = [Phoneme(p.symbol, p.start + phase, p.end + phase) for p in said().phonemes]
    track = speech_to_motion(late, fps, ps, 'rules', idle=False)
    for p in ps:
        near = (track.times > p.start - .09) & (track.times < p.end + .03)
        if is_closed(p.symbol): assert track.mouth_open[near].min() <= .01 and track.press[near].max() > .9, p
        if is_bite(p.symbol): assert track.mouth_open[near].min() <= .06 and track.bite[near].max() > .7, p

@pytest.mark.parametrize('name', ['rules', 'mel', 'whisper', 'auto'])
def test_motion_models(name):
    "Each motion model moves the mouth, follows the rules and names itself"
    try: track = motion(name)
    except KitError as e: pytest.skip(str(e))
    assert .02 < track.mouth_open.mean() < .3 and track.mouth_open.std() > .02
    assert track.notes[0].startswith('motion model: ') and ('rules' in track.sources) == ('rules' in track.notes[0])
    closed = [p for p in track.phonemes if is_closed(p.symbol)]
    least = [track.mouth_open[(track.times > p.start - .1) & (track.times < p.end + .04)].min() for p in closed]
    assert np.mean(np.array(least) <= .01) >= .9
    assert np.abs(load_basis().aperture(track.lips) - track.mouth_open).max() < 1e-3

@pytest.mark.parametrize('noise', [0, .001])
@pytest.mark.parametrize('name', ['rules', 'auto'])
def test_silence_is_closed(name, noise):
    "Three seconds of silence between two sentences"
    a = said().audio
    gap = 3*a.rate
    x = np.concatenate([a.samples, np.zeros(gap, np.float32), a.samples])
    x = x + noise*np.random.default_rng(0).standard_normal(len(x)).astype(np.float32)
    track = speech_to_motion(Audio(x, a.rate), motion_model=name)
    silent = (track.times > a.duration) & (track.times < a.duration + 3)
    assert track.mouth_open[silent].var() <= .1*track.mouth_open[~silent].var()
    assert track.mouth_open[silent][30:-25].max() < .005

def test_digital_zero():
    track = speech_to_motion(Audio(np.zeros(48000), 16000), idle=False)
    assert track.mouth_open.max() == 0 and np.abs(track.lips).max() == 0 and np.abs(track.head).max() == 0

@pytest.mark.parametrize('n', [1, 2, 100, 399, 401, 1600, 8000])
@pytest.mark.parametrize('rate', [8000, 16000, 44100, 96000])
def test_short_sounds(n, rate):
    track = speech_to_motion(Audio(.1*np.random.default_rng(n).standard_normal(n), rate))
    assert len(track) == max(1, -(-n*25//rate)) and np.isfinite(track.lips).all()

@pytest.mark.parametrize('fps', [1, 12, 120])
def test_rates(fps): assert len(motion(fps=fps)) == int(np.ceil(round(said().audio.duration*fps, 6)))

def test_loudness_and_clipping():
    a = said().audio
    def moved(x): return speech_to_motion(Audio(x, a.rate), motion_model='rules', idle=False)
    quiet, loud, plain = moved(.1*a.samples), moved(np.clip(40*a.samples, -1, 1)), moved(a.samples)
    assert np.corrcoef(quiet.mouth_open, plain.mouth_open)[0, 1] > .9 and loud.mouth_open.std() > .02

def test_refusals():
    a = said().audio
    for kw, words in ((dict(motion_model='melon'), "'mel'"), (dict(emotion='hapy'), "'happy'"),
                      (dict(strength=9), '0..1.5'), (dict(gain=99), '0..3'), (dict(fps=-1), 'frame rate')):
        with pytest.raises(KitError, match=words): speech_to_motion(a, **kw)
    with pytest.raises(KitError, match='not a number'): Audio(np.array([0, np.nan]), 16000)
    with pytest.raises(KitError, match='empty'): speech_to_motion(Audio(np.zeros(0), 16000))

def test_seed():
    one, same, other = (speech_to_motion(said().audio, 25, said().phonemes, 'rules', seed=s) for s in (1, 1, 2))
    assert one == same and not np.array_equal(one.head, other.head)
    assert np.array_equal(one.lips, other.lips), 'the seed does not change the lips'
    assert np.abs(one.head[0]).max() == 0 and np.abs(one.head).max() <= 9

@pytest.mark.parametrize('emotion', sorted(EMOTIONS))
def test_emotions_keep_the_sounds(emotion):
    plain, felt = motion(idle=False), motion(emotion=emotion, strength=1.5, idle=False)
    assert (felt.mouth_open[plain.mouth_open == 0] == 0).all()
    assert np.corrcoef(plain.mouth_open, felt.mouth_open)[0, 1] > .999
    assert emotion == 'neutral' or np.abs(felt.lips[:, 1:] - plain.lips[:, 1:]).max() > .2

def test_live():
    "Pieces follow one another without a gap, the first after a second, like the motion made at once"
    a = said().audio
    n = a.rate//13
    taken = []
    def chunks():
        for i in range(0, len(a.samples), n):
            taken.append(i)
            yield Audio(a.samples[i:i+n], a.rate)
    pieces = stream_motion(chunks(), motion_model='rules', emotion='happy')
    first = next(pieces)
    assert len(taken)*n/a.rate < 1.1 and first.seconds > .7
    live, whole = join([first, *pieces]), speech_to_motion(a, motion_model='rules', emotion='happy')
    assert len(live) == len(whole)
    assert np.corrcoef(live.mouth_open, whole.mouth_open)[0, 1] > .8
    blink = ARKIT.index('eyeBlinkLeft')
    assert live.sources == whole.sources and live.blendshapes[:, blink].max() > .6
    assert np.abs(np.diff(live.head, axis=0)).max() < 2
    again = join(list(stream_motion((Audio(a.samples[i:i+n], a.rate) for i in taken), motion_model='rules', emotion='happy')))
    assert live == again

def test_two_sentences_move_differently():
    a = said().audio
    other = Audio(a.samples[::-1].copy(), a.rate)
    one, two = (speech_to_motion(x, motion_model='rules') for x in (a, other))
    n = min(len(one), len(two))
    assert np.abs(one.head[:n] - two.head[:n]).max() > 1
    blink = ARKIT.index('eyeBlinkLeft')
    assert not np.array_equal(one.blendshapes[:n, blink], two.blendshapes[:n, blink])

def test_the_amount_of_head_motion():
    still, usual, lively = (speech_to_motion(said().audio, motion_model='rules', head=h).head for h in (0, 1, 2))
    assert np.abs(still).max() == 0 and 1.2 < lively.std() / usual.std() < 2.1   # the head goes only so far
    with pytest.raises(KitError, match='0..2'): speech_to_motion(said().audio, motion_model='rules', head=3)

def test_hour_of_phonemes():
    "An hour of motion from known phonemes: nothing grows with the square of the length"
    from lipsync_kit.motion.rules import enforce_closures, rule_motion
    n = 3600*8
    ps = [Phoneme('pæmi'[i % 4], i/8, (i + 1)/8) for i in range(n)]
    audio = Audio(np.full(3600*1000, .1, np.float32), 1000)
    times = np.arange(3600*25)/25
    lips, opening = rule_motion(audio, times, ps)
    got = enforce_closures(lips, opening, times, ps, [(0, 3600)])
    assert got.press.mean() > .2 and got.mouth_open.max() < .5

@pytest.mark.parametrize('kind', ['json', 'csv'])
def test_files(kind, tmp_path):
    track = motion(emotion='happy')
    back = MotionTrack.load(track.save(tmp_path/f'a b.{kind}'))
    for k in ('lips', 'blendshapes', 'mouth_open', 'head', 'bite', 'press'):
        assert np.abs(getattr(back, k) - getattr(track, k)).max() < 2e-3, k
    assert back.fps == track.fps and len(back) == len(track) and back.sources == track.sources != ()

EDITS = {
    'row': (lambda d: d['frames'][3].pop(), 'row 3 must hold 52'),
    'name': (lambda d: d['names'].__setitem__(0, 'browDwnLeft'), 'browDownLeft'),
    'nan': (lambda d: d['mouth_open'].__setitem__(5, float('nan')), 'frame 5'),
    'negative': (lambda d: d['mouth_open'].__setitem__(5, -.2), 'frame 5'),
    'text': (lambda d: d['head'].__setitem__(2, ['a', 0, 0]), 'row 2'),
    'null': (lambda d: d['frames'][1].__setitem__(7, None), 'row 1'),
    'short': (lambda d: d['mouth_open'].pop(), 'values for'),
    'fps': (lambda d: d.update(fps='fast'), 'frame rate'),
    'missing': (lambda d: d.pop('names'), 'names missing'),
    'none': (lambda d: d.update(frames=[]), 'frames'),
    'twice': (lambda d: d['names'].__setitem__(1, d['names'][0]), 'twice'),
    'phoneme': (lambda d: d.update(phonemes=[['a', 2, 1]]), 'entry 0'),
    'sources': (lambda d: d.update(sources=['rules', 7]), 'sources must be a list of names'),
    'huge': (lambda d: d['mouth_open'].__setitem__(0, 30), 'inter-ocular')}

@pytest.mark.parametrize('edit', EDITS)
def test_edited_badly(edit, tmp_path):
    path = motion().save(tmp_path/'track.json')
    d = json.loads(path.read_text())
    change, words = EDITS[edit]
    change(d)
    path.write_text(json.dumps(d))
    with pytest.raises(KitError) as e: MotionTrack.load(path)
    assert words in str(e.value) and 'track.json' in str(e.value) and '\n' not in str(e.value)

@pytest.mark.parametrize('name,content', [
    ('a.json', b''), ('b.json', b'{'), ('c.json', b'[1,2]'), ('d.json', b'\xff\xfe\x00'), ('e.csv', b'time\nx'),
    ('f.csv', b'time,jawOpen\n0,.1\n0,.2'), ('g.csv', b'time,jaw\n0,1'), ('h.csv', b'time,jawOpen\n0'),
    ('i.tsv', b'0 A'), ('j.json', b'null'), ('k.json', b'{"fps":25,"names":"jawOpen","frames":[[1]]}')])
def test_not_a_track(name, content, tmp_path):
    (tmp_path/name).write_bytes(content)
    with pytest.raises(KitError, match=name): MotionTrack.load(tmp_path/name)

def test_sources_of_a_csv_that_was_cut_or_joined(tmp_path):
    "Every row names the sources, so none are lost; in a file without the column there is the basis that reads it"
    path = motion().save(tmp_path/'a.csv')
    header, *rows = path.read_text().splitlines()
    (tmp_path/'b.csv').write_text('\n'.join([header, *rows[9:20]]))
    assert MotionTrack.load(tmp_path/'b.csv').sources == motion().sources == ('silero-vad', 'rules', 'face-basis')
    (tmp_path/'c.csv').write_text('time,mouth_open\n0,.1\n.04,.2\n')
    assert MotionTrack.load(tmp_path/'c.csv').sources == ('face-basis',)    # somebody's own numbers, read by a basis
    (tmp_path/'d.csv').write_text('time,sources\n0,rules\n.04,\n.08,hama-asr rules\n')
    assert MotionTrack.load(tmp_path/'d.csv').sources == ('rules', 'hama-asr')

def test_sources_survive_edits():
    "Pieces, other rates and joined tracks keep what took part"
    a, b = motion(), motion('mel')
    assert a.cut(0, 1).sources == a.resample(30).sources == a.sources
    assert set(join([a, b]).sources) == {*a.sources, *b.sources} >= {'rules', 'motion-model'}

def test_edited_well(tmp_path):
    "A subset of the names in another order, and an opening that rules"
    d = dict(fps=30, names=['mouthPucker', 'jawOpen'], frames=[[.5, .1]]*10, mouth_open=[.2]*10)
    (tmp_path/'t.json').write_text(json.dumps(d))
    t = MotionTrack.load(tmp_path/'t.json')
    assert np.allclose(load_basis().aperture(t.lips), .2, atol=1e-4) and (t.lips[:, 1] < -.2).all()

def test_rhubarb(tmp_path):
    rows = [r.split('\t') for r in motion().save(tmp_path/'t.tsv').read_text().splitlines()]
    assert rows[-1][1] == 'X' and rows[0][0] == '0.00'
    assert {'A', 'G', 'F', 'X'} <= {r[1] for r in rows} <= set('ABCDEFGHX')
    assert all(float(a[0]) < float(b[0]) for a, b in zip(rows, rows[1:]))

def test_every_symbol_has_a_shape():
    "All that the recogniser and the voice can write"
    from hama import ASRModel
    from lipsync_kit.hub.cards import find
    for s in ASRModel(find('hama-asr')).decoder_tokens: assert visemes(s)
    assert visemes('d͡ʒ') == ('hush',) and visemes('kʰ') == ('velar',) and visemes('oʊ') == ('aw', 'oo')
