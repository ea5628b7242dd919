"""MuseTalk and LatentSync at full size, with random weights: seconds a frame, the pipeline over the pure networks, the first frame, and peak memory. The mouths are noise; the work is what the published files would take.

    python bench/latent_dubbers.py                                           # what this machine can do: a GPU if there is one, else few frames and one step on the CPU
    python bench/latent_dubbers.py --device cuda --frames 250 --batch 20     # MuseTalk in larger batches
    python bench/latent_dubbers.py --only musetalk --compile                 # its U-Net behind torch.compile
    python bench/latent_dubbers.py --only latentsync --size 512 --memory low --cache-interval 3

Measured on an NVIDIA H200: MuseTalk 43 frames a second by eight at a time, 1.07 times the networks; LatentSync at 256 pixels, 20 steps, 64 frames 12.4 a second, 1.28 times."""
import argparse, json, subprocess, sys, tempfile
from pathlib import Path
from time import perf_counter, process_time

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--only', choices=('musetalk', 'latentsync')); p.add_argument('--device', default='auto'); p.add_argument('--dtype', default='auto')
    p.add_argument('--frames', type=int, help='of the clip, 25 a second [CPU 4, GPU 250 and 64]'); p.add_argument('--steps', type=int, help='of the diffusion [CPU 1, GPU 20]')
    p.add_argument('--size', type=int, default=256, choices=(256, 512)); p.add_argument('--guidance', type=float, default=1.5); p.add_argument('--cache-interval', type=int, default=1)
    p.add_argument('--memory', default='auto'); p.add_argument('--batch', type=int, help='of MuseTalk [CPU 2, GPU 8]'); p.add_argument('--compile', action='store_true')
    return p.parse_args()

# One model in a process of its own

def nets_of(a):
    "Function that takes the place of the pages' `network`: full size, random numbers, made on the device"
    import torch
    from lipsync_kit.models.latentsync.unet import UNet3D
    from lipsync_kit.models.musetalk.unet import OnePass, unet
    from lipsync_kit.nn.vae import LatentCodec, vae
    from lipsync_kit.nn.runner import Runner, torch_dtype
    from lipsync_kit.nn.whisper import WhisperEncoder, encoder_network
    torch.manual_seed(0)
    def made(name, build, weights=None, device='auto', *_, **__):
        guest = a.memory == 'lowest' and build.__name__ != 'load_whisper_encoder'
        where = 'cpu' if guest else a.device
        with torch.device(where):
            if build.__name__ == 'load_vae': return LatentCodec(vae().requires_grad_(False), where, str(torch_dtype(a.dtype, a.device)).removeprefix('torch.'))
            if build.__name__ == 'load_whisper_encoder': return WhisperEncoder(encoder_network().requires_grad_(False), where, a.dtype)
            if a.only == 'musetalk': return Runner(OnePass(unet()), a.device, a.dtype, fold=False, compile=a.compile)
            return UNet3D().eval().requires_grad_(False).to(dtype=torch_dtype(a.dtype, a.device), memory_format=torch.channels_last)
    return made

def film(path:Path, n:int):
    "A face of 200 pixels that moves a little"
    import cv2, numpy as np
    from skimage import data
    from lipsync_kit.media.write import Writer
    photo = cv2.resize(data.astronaut()[:300, 60:460], None, fx=1.8, fy=1.8, interpolation=cv2.INTER_CUBIC)
    with Writer(path, 720, 540, 25, crf=12) as w:
        for i in range(n): w.write(cv2.warpAffine(photo, np.float32([[1, 0, 4 * np.sin(i / 5)], [0, 1, 3 * np.sin(i / 7)]]), (720, 540), borderMode=cv2.BORDER_REPLICATE))
    return path

def pure(a, dubber):
    "A function that runs the networks alone on as many frames, in the same batches"
    import numpy as np
    faces, sound = np.random.default_rng(0).integers(0, 256, (a.frames, a.size, a.size, 3), np.uint8), np.random.default_rng(1).standard_normal((a.frames, 50, 384), np.float32)
    if a.only == 'latentsync':
        def run():
            draw = dubber.sampler(0)
            for i in range(0, a.frames, 16): draw(faces[i:i + 16], sound[i:i + 16]).faces.cpu()
        return run
    from lipsync_kit.models.musetalk.preprocess import face_latents
    def run():
        for i in range(0, a.frames, a.batch): dubber.nets.pictures(face_latents(faces[i:i + a.batch], dubber.nets.latents), sound[i:i + a.batch])
    return run

def seconds(f):
    "On the clock, and of the processor, which other programs don't disturb"
    t, c = perf_counter(), process_time(); f()
    return perf_counter() - t, process_time() - c

def measure(a)->dict:
    "All numbers of one model"
    import numpy as np, torch
    from lipsync_kit import lipsync
    from lipsync_kit.core import Audio
    from lipsync_kit.models.contract import load_model
    from lipsync_kit.models.latentsync import model as latentsync
    from lipsync_kit.pipe.options import make_options
    from lipsync_kit.models.musetalk import model as musetalk
    page = musetalk if a.only == 'musetalk' else latentsync
    kept, made = {}, nets_of(a)
    def once(name, build, *args, **kw):
        if name not in kept: kept[name] = made(name, build, *args, **kw)
        return kept[name]
    page.load_network = once
    options = dict(device=a.device, dtype=a.dtype) | (dict(steps=a.steps, guidance=a.guidance, cache_interval=a.cache_interval, memory=a.memory)
                                                      if a.only == 'latentsync' else {})
    name = 'musetalk-1.5' if a.only == 'musetalk' else {256: 'latentsync-1.5', 512: 'latentsync-1.6'}[a.size]
    dubber = load_model(name, a.device, make_options(name, **options).settings)
    if a.only == 'musetalk': dubber.batch = a.batch
    run, cuda = pure(a, dubber), a.device.startswith('cuda')
    if cuda: run(); torch.cuda.reset_peak_memory_stats()      # what is done once: kernels chosen and compiled
    alone = [seconds(run)]
    with tempfile.TemporaryDirectory() as d:
        source, sound = film(Path(d)/'a.mp4', a.frames), Audio(np.random.default_rng(0).normal(0, .1, a.frames * 640).astype(np.float32), 16000)
        if cuda: lipsync(source, sound.cut(0, .64), out=Path(d)/'warm.mp4', model=name, fit='trim', **options)
        results = []
        _, busy = seconds(lambda: results.append(lipsync(source, sound, out=Path(d)/'b.mp4', model=name, **options))); r = results[0]
    alone.append(seconds(run))
    whole, (net, net_busy) = r.timings['total'] - r.timings['loading'], min(alone)
    held = dict(gpu_gb=torch.cuda.max_memory_allocated() / 1e9) if cuda else dict(process_gb=r.memory / 1e3)
    return dict(frames=r.n_frames, networks=net / a.frames, pipeline=whole / r.n_frames, ratio=whole / net, ratio_of_processor=busy / net_busy, first_frame=r.timings['first frame'] - r.timings['loading'], estimate_gb=dubber.device_memory / 1e9, **held)

def told(a, m)->str:
    "The numbers in words"
    import torch
    where = torch.cuda.get_device_name() if a.device.startswith('cuda') else f'CPU, {torch.get_num_threads()} threads'
    how = f'batches of {a.batch}' + ', compiled' * a.compile if a.only == 'musetalk' else f'{a.size} pixels, {a.steps} steps, guidance {a.guidance:g}, cache interval {a.cache_interval}, memory {a.memory}'
    memory = f"{m['gpu_gb']:.1f} GB of the GPU" if 'gpu_gb' in m else f"{m['process_gb']:.1f} GB of the process"
    return (f"{a.only} on {where}, {a.dtype}, {how}: {m['frames']} frames, networks {m['networks']:.3f} s a frame, pipeline {m['pipeline']:.3f} s a frame ({1 / m['pipeline']:.2f} fps, {25 * m['pipeline']:.1f} s for a second), "
            f"ratio {m['ratio']:.2f} (of processor time {m['ratio_of_processor']:.2f}; target at most 1.15), first frame after {m['first_frame']:.1f} s, {memory} at the peak" + (f" (estimated {m['estimate_gb']:.1f} GB)" if m['estimate_gb'] else ''))

def main():
    a = arguments()
    if a.only is None:
        for name in 'musetalk', 'latentsync': subprocess.run([sys.executable, __file__, '--only', name, *sys.argv[1:]])
        return
    from lipsync_kit.core import device
    a.device = str(device(a.device)); gpu = a.device != 'cpu'
    a.frames = a.frames or {('musetalk', True): 250, ('musetalk', False): 4, ('latentsync', True): 64, ('latentsync', False): 4}[a.only, gpu]
    a.steps, a.batch = a.steps or (20 if gpu else 1), a.batch or (8 if gpu else 2)
    if a.only == 'musetalk': a.size, a.memory = 256, 'auto'
    m = measure(a)
    print(told(a, m)); print(json.dumps(m), flush=True)

if __name__ == '__main__': main()
