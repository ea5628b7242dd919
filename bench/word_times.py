"""Words of `lipsync transcribe` against the phonemes of a voice that knows its own, and memory of a long recording against a short one.
`python bench/word_times.py` for the times, `... memory` for the memory (minutes)."""
import subprocess, sys, tempfile
from pathlib import Path
import numpy as np
from measure import MEDIA
from lipsync_kit.audio.signal import resample
from lipsync_kit.media.read import read_audio
from lipsync_kit.speech.stt import RECOGNISERS, _within, transcribe
from lipsync_kit.speech.tts import VOICES, speak
from lipsync_kit.speech.word_times import by_phonemes

TEXTS = ('The quick brown fox jumps over the lazy dog.', 'Good morning. My name is Peter, and I would like a cup of coffee, please.',
         'We choose to go to the moon in this decade and do the other things, not because they are easy, but because they are hard.',
         'People who live near the river often walk along the bank before breakfast.',
         'The weather was cold last night, so nobody wanted to leave the house.')

def line(name, x):
    x = 1000 * np.abs(x)
    return f'{name:28} median {np.median(x):3.0f} ms, p90 {np.percentile(x, 90):3.0f}, most {x.max():3.0f}, above 80 ms {np.mean(x > 80):4.0%} of {len(x)}'

def plain(text): return [w.strip('.,?!').lower() for w in text.split()]

def times(voice='hibari', model='whisper-base'):
    off = {k: [] for k in ('begin, network alone', 'begin', 'end, network alone', 'end')}
    for text in TEXTS:
        s = speak(text, voice=voice)
        sound = resample(s.audio)
        rough = _within(RECOGNISERS.get(model).hear(sound, 'en')[0], sound)
        fine = transcribe(s.audio, model, 'en').words
        if plain(text) != [plain(w.text)[0] for w in fine] or len(rough) != len(fine): continue     # something else was heard
        true = by_phonemes([(w.text, w.start, w.end) for w in fine], [p for p in s.phonemes if p.symbol.strip()])
        for r, f, t in zip(rough, fine, true):
            if t is None: continue
            for k, d in zip(off, (r.start - t[0], f.start - t[0], r.end - t[1], f.end - t[1])): off[k].append(d)
    for k, x in off.items(): print(line(f'{voice}: {k}', np.array(x)), flush=True)

def most(minutes):
    "MB that a process of its own takes to transcribe so many minutes"
    import soundfile
    clip = read_audio(MEDIA/'speech'/'english_mt.wav')
    with tempfile.TemporaryDirectory() as d:
        with soundfile.SoundFile(f'{d}/a.wav', 'w', clip.rate, 1) as f:
            for _ in range(round(minutes * 60 / clip.duration)): f.write(clip.samples)
        code = ("import resource, sys; from lipsync_kit.speech.stt import transcribe; t = transcribe(sys.argv[1], language='en'); "
                "print(len(t.words), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)")
        n, mb = subprocess.run([sys.executable, '-c', code, f'{d}/a.wav'], capture_output=True, text=True, check=True).stdout.split()[-2:]
    return int(n), float(mb)

if __name__ == '__main__':
    if sys.argv[1:2] == ['memory']:
        short, long = (float(x) for x in (sys.argv[2:4] or (6, 60)))
        (n, a), (m, b) = most(short), most(long)
        print(f'{short:g} minutes {n} words {a:.0f} MB; {long:g} minutes {m} words {b:.0f} MB: {b / a:.2f} times')
    else:
        for voice in ('hibari', 'kokoro'):
            if not VOICES.get(voice).missing: times(voice)
