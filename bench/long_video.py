"""The most memory that a long video takes against a short one, and what each thousand frames and each minute of sound add at most: the portrait
model on a small film of few frames a second, every one drawn (`dub_memory.py` does so at 720p with a stand-in for the network).

    python bench/long_video.py [--minutes 12 2] [--fps 5] [--size 256]"""
import argparse, subprocess, sys, tempfile
from pathlib import Path

RUN = '''
import sys
import numpy as np
from lipsync_kit.core import Audio
from lipsync_kit.pipe import stages
from lipsync_kit.pipe.run import lipsync, peak_memory
stages.SPARSE = 1      # so few frames a second as the film has are drawn
seconds, rng = 60 * float(sys.argv[3]), np.random.default_rng(0)
t = np.arange(int(seconds * 16000)) / 16000
x = (.3 * np.sin(2 * np.pi * 140 * t) * (np.sin(2 * np.pi * 1.5 * t) > 0)).astype(np.float32)
del t
r = lipsync(sys.argv[1], Audio(x, 16000), out=sys.argv[2], clean='off')
print(r.n_frames, peak_memory())
'''

def film(path, size, fps, n=20):
    import cv2
    from skimage import data
    from lipsync_kit.media.write import Writer
    face = cv2.resize(data.astronaut()[:400, 50:450], (size, size), interpolation=cv2.INTER_AREA)
    with Writer(path, size, size, fps, crf=18) as w:
        for i in range(n): w.write(cv2.warpAffine(face, cv2.getRotationMatrix2D((size / 2, size / 2), 3 * i / n, 1), (size, size), borderMode=cv2.BORDER_REPLICATE))
    return path

def main():
    p = argparse.ArgumentParser()
    p.add_argument('--minutes', type=float, nargs=2, default=(12, 2))
    p.add_argument('--fps', type=int, default=5)
    p.add_argument('--size', type=int, default=256, help='pixels')
    a = p.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as d:
        src = film(Path(d)/'film.mp4', a.size, a.fps)
        for m in sorted(a.minutes):
            said = subprocess.run([sys.executable, '-c', RUN, src, Path(d)/'out.mp4', str(m)], check=True, stdout=subprocess.PIPE, text=True).stdout
            found.append(tuple(map(int, said.split()[-2:])))
            print(f'{m:g} minutes, {found[-1][0]} frames: {found[-1][1]} MB', flush=True)
    (n, short), (m, long) = found
    print(f'{long / short:.3f} times (at most 1.1); {1000 * (long - short) / (m - n):.1f} MB for each thousand frames of {60 * (max(a.minutes) - min(a.minutes)) / (m - n):.2f} s')

if __name__ == '__main__': main()
