"""Dubs at length, with a synthetic voice: how well lines fit their times, what each stage costs, and the most memory that the sound of a long
film takes against a short one (no frame is drawn). `python bench/dub_lines.py [MINUTES SHORT]`"""
import subprocess, sys
RUN = '''
import sys, tempfile, time
from pathlib import Path
import numpy as np
from lipsync_kit.core import Audio
from lipsync_kit.media.loudness import Pieces, levelled, write_pieces
from lipsync_kit.pipe.dub import Line, fitted_lines
from lipsync_kit.pipe.dub_sound import Lines, bed_of, mixed
from lipsync_kit.pipe.run import peak_memory
from lipsync_kit.speech.tts import Speech, speak
speak('Warm.', 'hibari')
minutes, rng, RATE = float(sys.argv[1]), np.random.default_rng(0), 48_000
seconds, took, t0 = 60 * minutes, {}, time.process_time()
def film():
    r = np.random.default_rng(1)
    for _ in range(int(seconds / 10)): yield .05 * r.standard_normal((10 * RATE, 2)).astype(np.float32)
def say(text, voice, speed, seed, language):      # about 15 letters a second, as people speak, with noise that is never quite what was asked for
    n = round(24_000 * len(text) / 15 / speed * (1 + .03 * np.random.default_rng(len(text)).standard_normal()))
    return Speech(Audio(.2 * np.sin(np.arange(n) / 9).astype(np.float32), 24_000), [], text)
lines, t = [], 1.
while t < seconds - 8:
    d, pause = rng.uniform(1.5, 5), rng.uniform(.2, 1.5)
    lines.append(Line(t, t + d, 'x' * max(5, round(15 * d * rng.uniform(.8, 1.3)))))      # translations run from a fifth shorter to a third longer
    t += d + pause
def stage(name):
    global t0
    took[name], t0 = time.process_time() - t0, time.process_time()
with tempfile.TemporaryDirectory() as d:
    spoken = list(fitted_lines(lines, lambda x, speed, s=Lines(d, say=say): s(x.text, speed)))
    stage('lines')
    p = Pieces(film, RATE, 'stereo')
    bed = bed_of(None, p, spoken, d)
    mix = levelled(mixed(spoken, bed, seconds), -16.)
    write_pieces(mix.read(), Path(d)/'mix.wav', RATE, 2)
    stage('sound')
late = np.array([s.end - x.end for x, s in zip(lines, spoken)])
early = np.array([x.start - s.start for x, s in zip(lines, spoken)])
print(f'{len(lines)} lines in {minutes:.0f} min: ends off by {np.median(abs(late)):.2f} s in the median, 95 % within {np.quantile(abs(late), .95):.2f} s; begins off by '
      f'{np.median(abs(early)):.2f} s in the median; the last ends {1000 * abs(late[-1]):.0f} ms off; ' + ', '.join(f'{k} {v / seconds:.4f} s of processor a second' for k, v in took.items()))
print(peak_memory())
'''

def peak(minutes):
    out = subprocess.run([sys.executable, '-c', RUN, str(minutes)], check=True, capture_output=True, text=True, env=dict(__import__('os').environ, LIPSYNC_KIT_HOME='/nonexistent'))
    said, mb = out.stdout.strip().splitlines()[-2:]
    print(said, flush=True)
    return int(mb)

if __name__ == '__main__':
    long, short = (float(x) for x in (sys.argv[1:] + ['20', '2'])[:2])
    a, b = peak(long), peak(short)
    print(f'{long:.0f} minutes take {a} MB, {short:.0f} take {b}: {a / b:.3f} times (at most 1.1)')
