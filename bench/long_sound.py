"""The most memory that a long sound takes against a short one, each stage in a process of its own: what is said is written down, and a dub
takes the old voice out of the sound.

    python bench/long_sound.py [--stage transcribe separate] [--minutes 60 6] [--model whisper-tiny.en]

The sound is made of one recording of speech, ten seconds of it in every minute (`--spoken` seconds), stereo at 44.1 kHz with music under it.
Each figure is printed as soon as it is there. (`dub_lines.py` measures the lines and the mixing of a dub, `dub_memory.py` the drawing.)"""
import argparse, os, subprocess, sys, tempfile
from pathlib import Path

MEDIA = Path(os.environ.get('LIPSYNC_MEDIA', Path(__file__).resolve().parent.parent.parent/'shared'/'media'))
TRANSCRIBE = '''
import sys
from lipsync_kit.pipe.run import peak_memory
from lipsync_kit.speech.stt import transcribe
r = transcribe(sys.argv[1], sys.argv[2], language='en')
print(len(r.words), 'words,', 'the last at', f'{r.words[-1].end:.0f} s')
print(peak_memory())
'''
SEPARATE = '''
import sys, tempfile
from lipsync_kit.media.loudness import pieces_of
from lipsync_kit.pipe.dub_sound import separate_once
from lipsync_kit.pipe.run import peak_memory
with tempfile.TemporaryDirectory() as d:
    path, _ = separate_once(sys.argv[1], pieces_of(sys.argv[1]), d)
    print(path.stat().st_size // 1000, 'kB')
print(peak_memory())
'''
STAGES = dict(transcribe=TRANSCRIBE, separate=SEPARATE)

def write_sound(path, minutes, spoken, rate=44_100):
    "Speech at the beginning of every minute, quiet chords all the time; written minute by minute"
    import numpy as np, soundfile
    from lipsync_kit.audio.signal import resample
    from lipsync_kit.media.read import read_audio
    speech = resample(read_audio(MEDIA/'speech'/'hdtf_radio31_en.wav'), rate).samples[:int(spoken * rate)]
    t = np.arange(60 * rate) / rate
    with soundfile.SoundFile(path, 'w', rate, 2) as f:
        for i in range(minutes):
            x = sum(.01 * np.sin(2 * np.pi * hz * 2 ** (i % 12 / 12) * t) for hz in (220, 277.2, 329.6)).astype(np.float32)
            x[:len(speech)] += speech
            f.write(np.stack([x, .9 * x], 1))
    return path

def peak(stage, path, model):
    "MB"
    said, mb = subprocess.run([sys.executable, '-c', STAGES[stage], path, model], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip().splitlines()[-2:]
    return said, int(mb)

def main():
    p = argparse.ArgumentParser()
    p.add_argument('--stage', nargs='+', choices=STAGES, default=list(STAGES))
    p.add_argument('--minutes', type=int, nargs=2, default=(60, 6))
    p.add_argument('--spoken', type=float, default=10., help='seconds of speech in a minute')
    p.add_argument('--model', default='whisper-tiny.en')
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as d:
        sounds = {m: write_sound(Path(d)/f'{m}.flac', m, a.spoken) for m in a.minutes}
        for stage in a.stage:
            most = {}
            for m in sorted(a.minutes):
                said, most[m] = peak(stage, sounds[m], a.model)
                print(f'{stage}, {m} minutes: {most[m]} MB ({said})', flush=True)
            print(f'{stage}: {most[max(a.minutes)] / most[min(a.minutes)]:.3f} times (at most 1.1)', flush=True)

if __name__ == '__main__': main()
