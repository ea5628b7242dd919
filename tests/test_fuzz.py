"Damaged files of each container and picture format: whole output or a message; never a crash, a hang or another error. `make fuzz` tries more."
import os, subprocess, sys
import numpy as np, pytest
from PIL import Image
from lipsync_kit.core import Audio
from lipsync_kit.media.write import Writer
import av

N = int(os.environ.get('LIPSYNC_FUZZ', 200))     # mutations of each file
VIDEOS = '.mp4', '.mov', '.mkv', '.webm', '.avi', '.ts'
PICTURES = '.png', '.jpg', '.webp', '.tif', '.bmp', '.gif', '.tga', '.jp2', '.ppm', '.sgi', '.avif'
ANIMATED = '_film.gif', '_film.webp', '_film.png', '_film.avif'
SOUNDS = {'.wav': 'pcm_s16le', '.mp3': 'libmp3lame', '.flac': 'flac', '.ogg': 'libopus', '.m4a': 'aac'}

CHILD = '''
import sys, random, itertools, faulthandler, warnings
warnings.simplefilter('ignore')     # Pillow's, of damaged TIFF
faulthandler.enable()
from pathlib import Path
from lipsync_kit.core import KitError
from lipsync_kit.media.probe import probe
from lipsync_kit.media.provenance import read_mark
from lipsync_kit.media.read import read_audio, read_frames, read_image
path, n = Path(sys.argv[1]), int(sys.argv[2])
data, whole = path.read_bytes(), 0
for seed in range(n):
    rng, x = random.Random(seed), bytearray(data)
    for _ in range(rng.choice([1, 4, 40])): x[rng.randrange(len(x))] = rng.randrange(256)
    if seed % 5 == 0: del x[rng.randrange(len(x)):]
    if seed == 3: x = bytearray(data)      # as it is: it must be read
    if seed % 7 == 0 and seed: x[rng.randrange(len(x)):0] = x[:rng.randrange(200)]
    out = path.with_name(f'mutant{path.suffix}')
    out.write_bytes(x)
    def frames(path): return sum(1 for _ in itertools.islice(read_frames(path), 12))
    for read in (probe, frames, read_audio, read_image, read_mark):
        name = read.__name__
        print(seed, name, flush=True)
        try: read(out); whole += 1
        except KitError as e: assert str(e)
print('whole', whole)
'''

def encoded(path, codec, layout='mono'):
    "Half a second of a tone, with a picture where the container is AVI"
    x = (.1 * np.sin(np.arange(24000) / 20) * 32767).astype(np.int16)
    with av.open(str(path), 'w') as out:
        s = out.add_stream(codec, rate=48000, layout=layout)
        v = out.add_stream('mpeg4', rate=25) if path.suffix == '.avi' else None
        if v: v.width, v.height, v.pix_fmt = 48, 32, 'yuv420p'
        for i in range(12 if v else 0):
            for p in v.encode(av.VideoFrame.from_ndarray(np.full((32, 48, 3), 20 * i, np.uint8), 'rgb24')): out.mux(p)
        for i in range(0, 24000, 960):
            f = av.AudioFrame.from_ndarray(x[None, i:i+960], 's16', 'mono')
            f.rate, f.pts = 48000, i
            for p in s.encode(f): out.mux(p)
        for k in filter(None, (s, v)):
            for p in k.encode(None): out.mux(p)
    return path

def make(path):
    "A small file with sound, and with pictures where its container has them"
    if path.stem.endswith('_film'):
        images = [Image.fromarray(np.full((40, 50, 3), 30 * i, np.uint8)) for i in range(6)]
        images[0].save(path, save_all=True, append_images=images[1:], duration=40)
        return path
    if path.suffix in PICTURES:
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)).save(path)
        return path
    if path.suffix in SOUNDS: return encoded(path, SOUNDS[path.suffix])
    if path.suffix == '.avi': return encoded(path, 'libmp3lame')
    source = path if path.suffix != '.ts' else path.with_suffix('.mp4')
    with Writer(source, 48, 32, audio=Audio(.1 * np.sin(np.arange(24000) / 20), 48000)) as w:
        for i in range(12): w.write(np.full((32, 48, 3), 20 * i, np.uint8))
    if source == path: return path
    with av.open(str(source)) as a, av.open(str(path), 'w') as b:
        streams = {s: b.add_stream_from_template(s) for s in a.streams if s.type in ('video', 'audio')}
        for p in a.demux(*streams):
            if p.dts is None: continue
            p.stream = streams[p.stream]
            b.mux(p)
    return path

@pytest.mark.parametrize('suffix', [*VIDEOS, *SOUNDS, *PICTURES, *ANIMATED])
def test_mutations(tmp_path, suffix):
    path = make(tmp_path/f'a{suffix}')
    done = subprocess.run([sys.executable, '-c', CHILD, str(path), str(N)], capture_output=True, text=True, timeout=60 + 2 * N)
    last = done.stdout.splitlines()[-1] if done.stdout else ''
    assert done.returncode == 0 and last.startswith('whole'), (last, done.returncode, done.stderr[-2000:])
    assert int(last.split()[1]) > 0
