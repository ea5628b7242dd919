"MuseTalk and LatentSync at 720p with networks that answer at once, Whisper's encoder excepted: what is left is the pipeline. Its milliseconds a frame, and the memory of ten minutes against that of one."
import argparse, json, subprocess, sys, tempfile
from pathlib import Path

MODELS = {'musetalk-1.5': {}, 'latentsync-1.5': dict(steps=1), 'latentsync-1.6': dict(steps=1)}

def stand_ins():
    "Function that takes the place of the pages' `load_network`"
    import torch
    from torch.nn import functional as F
    from lipsync_kit.nn.whisper import WhisperEncoder, encoder_network
    class Latents:
        def encode(self, x, noise=None): return F.interpolate(x.float(), scale_factor=1/8)[:, [0, 1, 2, 0]]
        def decode(self, z): return F.interpolate(torch.as_tensor(z)[:, :3].float(), scale_factor=8)
    class Noiseless(torch.nn.Module):
        def __init__(self): super().__init__(); self.conv_in = torch.nn.Conv2d(1, 1, 1)
        def forward_both(self, x, t, sound, inner=None): return x[:, :4], None
    def network(name, build, *_, **__):
        if build.__name__ == 'load_whisper_encoder': return WhisperEncoder(encoder_network().requires_grad_(False))
        if build.__name__ == 'load_vae': return Latents()
        return Noiseless() if name.startswith('latentsync') else lambda faces, sound: faces[:, :4].numpy()
    return network

def one_run(model:str, src, out, minutes:float)->dict:
    "In this process"
    import numpy as np
    from time import process_time
    from lipsync_kit import lipsync
    from lipsync_kit.core import Audio
    from lipsync_kit.models.latentsync import model as latentsync
    from lipsync_kit.models.musetalk import model as musetalk
    latentsync.load_network = musetalk.load_network = stand_ins()
    sound = Audio((.3 * np.sin(np.arange(int(60 * minutes * 16000)) / 9)).astype(np.float32), 16000)
    r = lipsync(src, sound, out=out, model=model, crf=30, **MODELS[model])
    assert abs(r.seconds - 60 * minutes) < .1, r.seconds
    return dict(wall=1000 * (r.timings['total'] - r.timings['loading']) / r.n_frames, cpu=1000 * process_time() / r.n_frames, memory=r.memory)

def run(*args)->dict: return json.loads(subprocess.run([sys.executable, __file__, 'run', *map(str, args)], check=True, capture_output=True, text=True).stdout)

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--models', default=','.join(MODELS)); p.add_argument('--minutes', type=float, default=10, help='of the long run')
    a = p.parse_args()
    from dub import film
    with tempfile.TemporaryDirectory() as d:
        src, out = film(Path(d)/'film.mp4'), Path(d)/'out.mp4'
        for model in a.models.split(','):
            short, long = (run(model, src, out, m) for m in (1, a.minutes))
            print(f"{model}, 720p: {long['wall']:.1f} ms a frame ({long['cpu']:.1f} of processor time) beside the networks; 1 minute {short['memory']} MB, {a.minutes:g} minutes {long['memory']} MB, ratio {long['memory'] / short['memory']:.3f} (target at most 1.1)", flush=True)

if __name__ == '__main__':
    if sys.argv[1:2] == ['run']: print(json.dumps(one_run(*sys.argv[2:5], float(sys.argv[5]))))
    else: main()
