"Peak memory of dubbing 720p: ten minutes must take no more than one. The network is a stand-in, the pipeline is whole."
import subprocess, sys, tempfile
from pathlib import Path

RUN = '''
import resource, sys
import numpy as np
from lipsync_kit import lipsync
from lipsync_kit.core import Audio
from lipsync_kit.models.wav2lip import model as wav2lip
wav2lip.network = lambda *a, **k: lambda mel, faces: faces[:, 3:]
seconds = 60 * float(sys.argv[3])
sound = Audio((.3 * np.sin(np.arange(int(seconds * 16000)) / 9)).astype(np.float32), 16000)
r = lipsync(sys.argv[1], sound, out=sys.argv[2], model='wav2lip', crf=30)
assert abs(r.seconds - seconds) < .1, r.seconds
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
'''

def peak(
    src:Path,
    minutes:float,
)->float:            # MB
    "Peak memory of one run in a process of its own"
    with tempfile.TemporaryDirectory() as d:
        kb = int(subprocess.run([sys.executable, '-c', RUN, src, Path(d)/'out.mp4', str(minutes)], check=True, capture_output=True, text=True).stdout)
    return kb / (1024**2 if sys.platform == 'darwin' else 1024)

def main():
    from dub import film
    with tempfile.TemporaryDirectory() as d:
        src = film(Path(d)/'film.mp4')
        one, ten = (peak(src, m) for m in (1, 10))
    print(f'720p dubbed, forwards and backwards: 1 minute {one:.0f} MB, 10 minutes {ten:.0f} MB, ratio {ten / one:.3f} (target at most 1.1)')

if __name__ == '__main__': main()
