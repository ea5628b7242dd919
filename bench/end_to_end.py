"Sound to MP4 at 512x512: how many times real time, where the time goes, and how soon live frames come."
import tempfile, time
from importlib.resources import files
from pathlib import Path
import cv2, numpy as np
from lipsync_kit import lipsync
from lipsync_kit.media.read import read_image
from lipsync_kit.live.session import Live
from lipsync_kit.speech.tts import speak

TEXT = 'This sentence is read aloud by a small voice, and a photograph moves its lips to it. It goes on for a while, because short films say little about speed. '

def face(iod=84):
    "The bundled photograph, cut so that its face is as large as in a usual portrait of 512 pixels"
    a = read_image(files('lipsync_kit')/'data'/'astronaut.jpg').image[:256, 96:352]
    return cv2.resize(a, (512, 512), interpolation=cv2.INTER_CUBIC)

def chunks(sound, step=.1):
    for t in np.arange(0, sound.duration, step): yield sound.cut(t, min(t + step, sound.duration))

picture, sound = face(), speak(TEXT * 3).audio
with tempfile.TemporaryDirectory() as d:
    for run in 'first run, models loaded', 'second run':
        r = lipsync(picture, sound, out=Path(d)/'a.mp4')
        print(f'{run}: {r.seconds:.1f} s of video in {r.timings["total"]:.2f} s = {r.realtime:.2f} times real time; ' + ', '.join(f'{k} {v:.2f}' for k, v in r.timings.items()))
print('target: at least 4 times real time')

live = Live(picture)
t0, first = time.perf_counter(), None
fed = []
def feed():
    for c in chunks(sound):
        fed.append((sum(x.duration for x in fed_audio), time.perf_counter())); fed_audio.append(c); yield c
fed_audio = []
frames = live.frames(feed())
next(frames)
second = max(t for s, t in fed)
print(f'live: first frame {1000*(time.perf_counter() - second):.0f} ms after the first second of sound was there (target 400)')
n = 1 + sum(1 for _ in frames)
print(f'live: {n} frames in {time.perf_counter() - t0:.2f} s of computing for {sound.duration:.1f} s of sound')
