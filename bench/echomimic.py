"""EchoMimic: at full size with random weights the pipeline over its networks alone, the first frame and peak memory; with networks that answer at once the memory of a long stream against a short one. What is drawn is noise; the work is what the published files would take.

    python bench/echomimic.py                                     # both, on what this machine has; a CPU draws few frames in one step
    python bench/echomimic.py speed --device cuda --frames 240 --steps 6
    python bench/echomimic.py memory --minutes 10

Measured on an NVIDIA H200: 240 frames in six steps 17 s, 1.113 times the networks, first frame after 3.0 s, 6.8 GB.
Measured on a CPU: one minute 977 MB, ten minutes 1043 MB, ratio 1.068 (at most 1.1); 11 ms of processor time a frame, of the networks Whisper alone."""
import argparse, json, subprocess, sys, tempfile
from pathlib import Path
from time import perf_counter, process_time

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', nargs='?', choices=('speed', 'memory', 'stream')); p.add_argument('--device', default='auto'); p.add_argument('--dtype', default='auto')
    p.add_argument('--frames', type=int, help='24 a second [CPU 4, GPU 240]'); p.add_argument('--steps', type=int, help='of the diffusion [CPU 1, GPU 6]')
    p.add_argument('--guidance', type=float, default=1.); p.add_argument('--memory', default='auto'); p.add_argument('--minutes', type=float, default=10, help='of the long stream')
    return p.parse_args()

def photo():
    "A face whose square is about 512 pixels wide, in a picture of 1024"
    import cv2
    from skimage import data
    return cv2.resize(data.astronaut()[:360, 40:400], (1024, 1024), interpolation=cv2.INTER_CUBIC)

def seconds(f):
    "On the clock, and of the processor, which other programs don't disturb"
    t, c = perf_counter(), process_time(); f()
    return perf_counter() - t, process_time() - c

# Full size

def random_net(make, device, dtype):
    "A network with random numbers, made on the device"
    import torch
    with torch.device('meta'): net = make()
    net = torch.nn.Module.to(net, dtype).to_empty(device=device).eval().requires_grad_(False)   # diffusers' own `to` warns
    g = torch.Generator(device).manual_seed(0)
    for t in (*net.parameters(), *net.buffers()):
        if t.is_floating_point(): t.data.uniform_(-.03, .03, generator=g)
    return net

def full_size(a):
    "Function that takes the place of the page's `load_network`"
    import torch
    from lipsync_kit.models.emo.unet import DenoisingUNet, PortraitNets
    from lipsync_kit.nn.runner import torch_dtype
    from lipsync_kit.nn.vae import LatentCodec, vae
    from lipsync_kit.nn.whisper import WhisperEncoder, encoder_network
    kept = {}
    def network(name, build, *_, offload=False, **__):
        where, dtype = 'cpu' if offload else a.device, torch_dtype(a.dtype, a.device)
        def made():
            if build.__name__ == 'load_vae': return LatentCodec(random_net(vae, where, dtype), where, str(dtype).removeprefix('torch.'))
            if build.__name__ == 'load_whisper_encoder': return WhisperEncoder(random_net(encoder_network, a.device, torch.float32), a.device, 'float32')
            return random_net(PortraitNets if build.__name__ == 'load_portrait_nets' else DenoisingUNet, where, dtype).to(memory_format=torch.channels_last)
        if name not in kept: kept[name] = made()
        return kept[name]
    return network

def alone(model, audio, frames:int, steps:int):
    "A function that runs the networks alone on as many frames, in the same windows"
    import numpy as np, torch
    from lipsync_kit.models.emo.sampling import Windows
    nets, size = model.nets, Windows().frames
    square, mask = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8), np.ones((512, 512), np.float32)
    x, sound = torch.randn(size, 4, 64, 64).to(nets.device), torch.randn(size, 50, 384).to(nets.device)
    def run():
        for _ in model.states(audio): pass
        predict = nets.predictor(nets.see(square, mask))
        for step in range(steps):
            for n in windows_of(frames, step, size): predict(x[:n], 500, sound[:n])
        for i in range(0, frames, nets.settings.pictures): nets.pictures(x[:1].expand(min(nets.settings.pictures, frames - i), -1, -1, -1))
    return run

def windows_of(frames:int, step:int, size:int):
    "How many frames each window of a step has, as in the stream"
    from lipsync_kit.models.emo.sampling import Windows
    from lipsync_kit.models.emo.stream import window_starts
    for start in window_starts(step, 0, Windows()):
        yield min(size, frames)
        if start + size >= frames: return

def speed(a):
    import numpy as np, torch
    from lipsync_kit import lipsync
    from lipsync_kit.core import Audio, device
    from lipsync_kit.models.contract import load_model
    from lipsync_kit.models.emo import model as emo
    from lipsync_kit.pipe.options import make_options
    a.device = str(device(a.device)); cuda = a.device.startswith('cuda')
    a.frames, a.steps = a.frames or (240 if cuda else 4), a.steps or (6 if cuda else 1)
    emo.load_network = full_size(a)
    options = dict(model='emo', steps=a.steps, guidance=a.guidance, memory=a.memory, device=a.device, dtype=a.dtype)
    audio = Audio(np.random.default_rng(0).normal(0, .1, round(a.frames / 24 * 16000)).astype(np.float32), 16000)
    model = load_model('emo', a.device, make_options(**options).settings)
    run = alone(model, audio, a.frames, a.steps)
    def synced():
        run()
        if cuda: torch.cuda.synchronize()
    if cuda: synced(); torch.cuda.reset_peak_memory_stats()
    pure = [seconds(synced)]
    with tempfile.TemporaryDirectory() as d:
        results = []
        _, busy = seconds(lambda: results.append(lipsync(photo(), audio, out=Path(d)/'b.mp4', fps=24, **options)))
    r = results[0]
    pure.append(seconds(synced))
    net, net_busy = min(pure)
    whole = r.timings['total'] - r.timings['loading']
    where = torch.cuda.get_device_name() if cuda else f'CPU, {torch.get_num_threads()} threads'
    held = f'{torch.cuda.max_memory_allocated() / 1e9:.1f} GB of the GPU' if cuda else f'{r.memory / 1e3:.1f} GB of the process'
    print(f"EchoMimic on {where}, {a.dtype}, {a.steps} steps, guidance {a.guidance:g}, memory {a.memory}: {r.n_frames} frames, networks {net / r.n_frames:.2f} s a frame, pipeline {whole / r.n_frames:.2f} s a frame, "
          f"240 frames {240 * whole / r.n_frames:.0f} s, ratio {whole / net:.3f} (of processor time {busy / net_busy:.3f}), first frame after {r.timings['first frame'] - r.timings['loading']:.1f} s, "
          f"{held} at the peak (estimated {model.device_memory / 1e9:.1f} GB)", flush=True)

# A long stream

def at_once():
    "Function that takes the place of the page's `load_network`: networks that answer at once, Whisper's encoder excepted"
    import torch
    from lipsync_kit.models.emo.drawing import MeanCodec
    from lipsync_kit.models.emo.unet import Portrait
    from lipsync_kit.nn.whisper import WhisperEncoder, encoder_network
    def network(name, build, *_, **__):
        if build.__name__ == 'load_whisper_encoder': return WhisperEncoder(encoder_network().requires_grad_(False))
        if build.__name__ == 'load_vae': return MeanCodec()
        if build.__name__ == 'load_portrait_nets': return lambda latents, mask: Portrait([], torch.zeros(1))
        return lambda x, t, sound, portrait, gain: x + 1e-3 * sound.mean((1, 2))[:, None, None, None]
    return network

def stream(minutes:float):
    "In this process"
    import numpy as np
    from lipsync_kit import lipsync
    from lipsync_kit.core import Audio
    from lipsync_kit.models.emo import model as emo
    emo.load_network = at_once()
    emo.manager.keep_while = lambda *_: None
    sound = Audio((.3 * np.sin(np.arange(int(60 * minutes * 16000)) / 9)).astype(np.float32), 16000)
    with tempfile.TemporaryDirectory() as d: r = lipsync(photo(), sound, out=Path(d)/'b.mp4', model='emo', device='cpu', size=512, crf=30)
    assert abs(r.seconds - 60 * minutes) < .1, r.seconds
    return dict(cpu=1000 * process_time() / r.n_frames, memory=r.memory)

def memory(a):
    short, long = (json.loads(subprocess.run([sys.executable, __file__, 'stream', '--minutes', str(m)], check=True, capture_output=True, text=True).stdout) for m in (1, a.minutes))
    print(f"EchoMimic at 512 pixels with networks that answer at once: {long['cpu']:.1f} ms of processor time a frame; 1 minute {short['memory']} MB, {a.minutes:g} minutes {long['memory']} MB, "
          f"ratio {long['memory'] / short['memory']:.3f} (target at most 1.1)", flush=True)

def main():
    a = arguments()
    if a.what == 'stream': print(json.dumps(stream(a.minutes)))
    elif a.what: dict(speed=speed, memory=memory)[a.what](a)
    else:
        for what in 'speed', 'memory': subprocess.run([sys.executable, __file__, what, *sys.argv[1:]])

if __name__ == '__main__': main()
