"""LivePortrait at full size with random weights: seconds a frame, the pipeline over its pure networks, the first frame; and the peak memory of ten minutes over that of one, with small
networks. The faces are noise; the work is what the published files would take.

    python bench/liveportrait.py                                  # a GPU if there is one, else few frames on the CPU
    python bench/liveportrait.py --device cuda --frames 250       # end to end at 512 pixels
    python bench/liveportrait.py --only memory

Measured on an NVIDIA H200, float16, 250 frames: 62.3 frames a second by four at a time (1.195 times the networks), 58.4 by sixteen, first frame after 0.32 s, 1.3 GB."""
import argparse, json, subprocess, sys
from fractions import Fraction
from pathlib import Path
from time import perf_counter, process_time
import numpy as np

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--only', choices=('speed', 'memory'))
    p.add_argument('--device', default='auto')
    p.add_argument('--dtype', default='auto')
    p.add_argument('--frames', type=int, help='[CPU 2, GPU 250]')
    p.add_argument('--batch', type=int, help='frames at a time [CPU 1, GPU 4]')
    p.add_argument('--minutes', type=float, help=argparse.SUPPRESS)      # of a run for its memory, in a process of its own
    return p.parse_args()

def full_networks(device:str, dtype:str):
    import torch
    from lipsync_kit.nn.convnext import MotionExtractor
    from lipsync_kit.nn.dense_motion import WarpingModule
    from lipsync_kit.nn.liveportrait import CORRECTORS, AppearanceExtractor, Corrector, LivePortraitNetworks
    from lipsync_kit.nn.spade import SpadeGenerator
    torch.manual_seed(0)
    nets = dict(appearance=AppearanceExtractor(), motion=MotionExtractor(), warp=WarpingModule(), decode=SpadeGenerator())
    return LivePortraitNetworks(nets, {k: Corrector(w) for k, w in CORRECTORS.items()}, device, dtype)

def small_networks():
    import torch
    from torch import nn
    from lipsync_kit.nn.convnext import MotionExtractor
    from lipsync_kit.nn.dense_motion import WarpingModule, WarpSize
    from lipsync_kit.nn.liveportrait import CORRECTORS, AppearanceExtractor, Corrector, LivePortraitNetworks
    torch.manual_seed(0)
    decode = nn.Sequential(nn.Conv2d(8, 3, 1), nn.Upsample(scale_factor=32), nn.Sigmoid())
    nets = dict(appearance=AppearanceExtractor(4, (4, 4, 4, 8), 2, 2, 1), motion=MotionExtractor((1, 1, 1, 1), (8, 8, 8, 8)),
                warp=WarpingModule(WarpSize(2, 2, 21, 1, (4, 8), 4, 8)), decode=decode)
    return LivePortraitNetworks(nets, {k: Corrector(w) for k, w in CORRECTORS.items()})

def request(n:int, fps:int):
    "The photograph, and a motion track that moves mouth and head"
    from skimage import data
    from lipsync_kit.core import Clip, Frame
    from lipsync_kit.faces.detect import landmarks
    from lipsync_kit.models.contract import DrivingSignal, RenderRequest
    from lipsync_kit.motion.track import MotionTrack
    photo, t = data.astronaut(), np.arange(max(n, 2)) / fps
    face, head = landmarks(photo), np.stack([4 * np.sin(t), 8 * np.sin(.7 * t), 0 * t], 1)
    track = MotionTrack(fps, np.zeros((len(t), 6)), np.zeros((len(t), 52)), .1 + .1 * np.sin(9 * t), head)
    frames = ((Frame(photo, Fraction(i, fps)), [face]) for i in range(n))
    return RenderRequest(Clip(Path('a.jpg'), 'image', 512, 512), frames, {None: DrivingSignal(track)}, still=True)

def peak_mb()->float:
    from resource import RUSAGE_SELF, getrusage
    return getrusage(RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == 'darwin' else 1e3)

def clocks(gpu:bool):
    "Wall time on a GPU, else processor time, which other programs do not disturb"
    import torch
    if gpu: torch.cuda.synchronize()
    return perf_counter() if gpu else process_time()

def speed(a):
    import torch
    from lipsync_kit.core import device as chosen
    from lipsync_kit.models.liveportrait.model import LivePortraitModel
    from lipsync_kit.nn.runner import drawing_dtype
    device = str(chosen(a.device))
    gpu = device.startswith('cuda')
    dtype = drawing_dtype(a.dtype, device)
    if dtype == 'auto': dtype = 'float16' if gpu else 'float32'
    n, batch = a.frames or (250 if gpu else 2), a.batch or (4 if gpu else 1)
    nets = full_networks(device, dtype)
    crop = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), np.uint8)
    x_s = np.random.default_rng(1).uniform(-.5, .5, (1, 21, 3)).astype(np.float32)
    x_d = x_s + np.float32(.02)
    volume = nets.volume(crop)
    nets.draw(volume, x_s, np.repeat(x_d, batch, 0))         # what is built at the first call
    def pure():
        nets.motion(crop)
        for i in range(0, n, batch): nets.draw(nets.volume(crop) if i == 0 else volume, x_s, np.repeat(x_d, min(batch, n - i), 0))
    model = LivePortraitModel(nets, batch=batch)
    work = request(n, 25)
    begin = clocks(gpu)
    pure()
    alone, begin = clocks(gpu) - begin, clocks(gpu)
    frames = model.render(work)
    next(frames)
    first = clocks(gpu) - begin
    drawn = 1 + sum(1 for _ in frames)
    whole = clocks(gpu) - begin
    print(f'{torch.cuda.get_device_name() if gpu else "CPU, one core"}, {dtype}, {drawn} frames of 512 pixels, batch {batch}: {whole / drawn:.3f} s a frame '
          f'({drawn / whole:.1f} frames a second), networks alone {alone / n:.3f}, pipeline over networks {whole / alone:.3f} (goal 1.15), first frame {first:.3f} s, '
          f'peak memory {torch.cuda.max_memory_allocated() / 1e9 if gpu else peak_mb() / 1e3:.2f} GB')

MEMORY_FPS = 4   # frames a second of the runs for memory

def memory_of(minutes:float):
    from lipsync_kit.models.liveportrait.model import LivePortraitModel
    n = round(minutes * 60 * MEMORY_FPS)
    drawn = sum(1 for _ in LivePortraitModel(small_networks()).render(request(n, MEMORY_FPS)))
    print(json.dumps(dict(frames=drawn, peak=peak_mb())))

def memory():
    found = []
    for minutes in (1, 10):
        out = subprocess.run([sys.executable, __file__, '--minutes', str(minutes)], capture_output=True, text=True, check=True).stdout
        found.append(json.loads(out.splitlines()[-1]))
    a, b = found
    print(f"small networks: {b['frames']} frames (ten minutes at {MEMORY_FPS} a second) take {b['peak']:.0f} MB, {a['frames']} take {a['peak']:.0f} MB: "
          f"{b['peak'] / a['peak']:.3f} times as much (goal 1.1)")

if __name__ == '__main__':
    a = arguments()
    if a.minutes: memory_of(a.minutes)
    else:
        if a.only != 'memory': speed(a)
        if a.only != 'speed': memory()
