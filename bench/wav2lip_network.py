"The generators of Wav2Lip on a CPU: what they compute, how fast in each way of running them, and the original against the compressed one; all in turns within one run."
import sys, tempfile, time
from importlib.util import find_spec
from pathlib import Path
import numpy as np, torch
from torch import nn
from lipsync_kit.onnx_export import OnnxRunner, export_model
from lipsync_kit.nn.runner import Runner, cpp_compiler
from lipsync_kit.nn.wav2lip import COMPRESSED, ORIGINAL, Wav2Lip

SIZES = dict(original=(ORIGINAL, 'wav2lip'), compressed=(COMPRESSED, 'lrs3-nota-wav2lip'))   # widths, name in the hub

def inputs(b): return np.random.default_rng(0).uniform(-4, 4, (b, 1, 80, 16)).astype(np.float32), np.random.default_rng(1).random((b, 6, 96, 96), np.float32)

def counted(net):
    "Parameters, multiply-adds a frame, and those if a transposed convolution were counted by the pixels that come out, as the authors of the compressed network do"
    adds = np.zeros(2)
    def count(m, x, y):
        out = y[0, 0].numel()
        adds[:] += m.weight.numel() * np.array([x[0][0, 0].numel() if isinstance(m, nn.ConvTranspose2d) else out, out])
    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    with torch.no_grad(): net(*map(torch.from_numpy, inputs(1)))
    for h in hooks: h.remove()
    return sum(p.numel() for p in net.parameters()), adds

def together(run): return lambda *xs: run._once(*xs)

def ways(net, name, folder):
    "Each way of running a network"
    def plain(*xs):
        with torch.inference_mode(): return net(*map(torch.from_numpy, xs)).numpy()
    res = {'plain module': plain, 'folded': together(Runner(net, 'cpu', channels_last=False)), 'folded, channels last': together(Runner(net, 'cpu')),
           'the same, dealt out (Runner)': Runner(net, 'cpu'), 'Runner, bfloat16': Runner(net, 'cpu', 'bfloat16')}
    if find_spec('onnxscript'):
        torch.save(net.state_dict(), folder/f'{name}.pth')
        res['ONNX Runtime'] = OnnxRunner(export_model(folder/f'{name}.pth', name), 'cpu')
    if cpp_compiler() and 'compile' in sys.argv: res['compiled'] = Runner(net, 'cpu', compile=True)
    return res

def milliseconds(calls, b, rounds):
    "Median and least of each of `calls`, a frame; called in turns, the first time does not count"
    xs, took = inputs(b), {k: [] for k in calls}
    for i in range(rounds + 1):
        for k, f in calls.items(): t = time.perf_counter(); f(*xs); took[k].append(1000 * (time.perf_counter() - t) / b)
    return {k: (np.median(v[1:]), min(v[1:])) for k, v in took.items()}

def main():
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as d:
        calls, macs = {}, {}
        for size, (widths, name) in SIZES.items():
            net = Wav2Lip(widths).eval(); n, macs[size] = counted(net)
            print(f'{size}: {n:,} parameters, {macs[size][0] / 1e9:.3f} billion multiply-adds a frame ({macs[size][1] / 1e9:.3f} by pixels that come out)')
            calls |= {(size, way): f for way, f in ways(net, name, Path(d)).items()}
        more = macs['original'] / macs['compressed']
        print(f"{more[0]:.1f} times the multiply-adds ({more[1]:.1f}); {torch.get_num_threads()} threads; ms a frame, median (least)")
        for b, rounds in (1, 9), (8, 7), (32, 5):
            ms = milliseconds(calls, b, rounds)
            for way in dict.fromkeys(w for _, w in calls):
                (o, lo), (c, lc) = (ms[s, way] for s in SIZES)
                print(f'batch {b:2}: {way:28} original {o:6.2f} ({lo:6.2f})   compressed {c:5.2f} ({lc:5.2f})   {o / c:4.1f} ({lo / lc:4.1f}) times faster')

if __name__ == '__main__': main()
