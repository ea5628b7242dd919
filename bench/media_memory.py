"Peak memory of reading and writing 720p: ten minutes must take no more than one."
import subprocess, sys, tempfile
from pathlib import Path

LOOP = '''
import resource, sys
from lipsync_kit.media.write import Writer
from lipsync_kit.media.probe import probe
from lipsync_kit.media.read import read_frames
c = probe(sys.argv[1])
with Writer(sys.argv[2], c.width, c.height, c.fps, audio=c.path, preset='ultrafast') as w:
    for f in read_frames(c.path): w.write(f.image, f.time)
print(w.n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
'''
MAKE = '''
import sys, numpy as np
from lipsync_kit.core import Audio
from lipsync_kit.media.write import Writer
n, wide = int(float(sys.argv[2]) * 60 * 25), np.random.default_rng(0).integers(0, 256, (45, 160, 3), np.uint8).repeat(16, 0).repeat(16, 1)
with Writer(sys.argv[1], 1280, 720, 25, crf=30, preset='ultrafast', audio=Audio(.1 * np.sin(np.arange(n * 640) / 20), 16000)) as w:
    for i in range(n): w.write(wide[:, i % 1280:i % 1280 + 1280])
'''

def peak(
    folder:Path,
    minutes:float,
)->float:            # MB
    "Peak memory of one run in a process of its own"
    src = folder/f'{minutes}.mp4'
    subprocess.run([sys.executable, '-c', MAKE, src, str(minutes)], check=True)
    n, kb = map(int, subprocess.run([sys.executable, '-c', LOOP, src, folder/'out.mp4'], check=True, capture_output=True, text=True).stdout.split())
    assert n == int(minutes * 60 * 25), n
    return kb / (1024**2 if sys.platform == 'darwin' else 1024)

with tempfile.TemporaryDirectory() as d: one, ten = (peak(Path(d), m) for m in (1, 10))
print(f'720p read and written: 1 minute {one:.0f} MB, 10 minutes {ten:.0f} MB, ratio {ten/one:.3f} (target at most 1.1)')
