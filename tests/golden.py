"What the golden tests share: where reference answers lie, and a synthetic checkpoint in the published container, read by the real loader."
import importlib.util, json, os
from pathlib import Path
import numpy as np, pytest
from lipsync_kit.hub.weights import load_weights, read_checkpoint

GOLDEN = Path(os.environ.get('LIPSYNC_GOLDEN', Path(__file__).parent.parent.parent/'shared'/'golden'))
CASES = Path(os.environ.get('LIPSYNC_GOLDEN_CASES', GOLDEN))

def synth():
    "The module that writes synthetic checkpoints"
    spec = importlib.util.spec_from_file_location('synth', GOLDEN/'synth.py'); m = importlib.util.module_from_spec(spec); spec.loader.exec_module(m)
    return m

def cases_of(name:str)->dict:
    "The reference answers called `name`"
    if not (CASES/name/'cases.npz').exists() or not (GOLDEN/'synth.py').exists(): pytest.skip(f'no golden cases at {CASES/name}; set LIPSYNC_GOLDEN')
    return dict(np.load(CASES/name/'cases.npz'))

def loaded(name:str, model, folder:Path):
    "The cases called `name`, and the model with its synthetic weights"
    cases = cases_of(name)
    synth().write(json.loads((GOLDEN/name/'manifest.json').read_text()), folder/f'{name}.pth', int(cases['param_seed']))
    return cases, load_weights(model, read_checkpoint(folder/f'{name}.pth'), name)

def manifest(name:str):
    "The layout of a published file, or of its small sister in `tiny`"
    path = GOLDEN/name/'manifest.json'
    if not path.exists(): pytest.skip(f'no golden layout at {path}; set LIPSYNC_GOLDEN')
    return json.loads(path.read_text())

def checkpoint(name:str, folder:Path, seed:int)->Path:
    "A synthetic file with the layout of folder `name`, in the published container and under the published name"
    m = manifest(name)
    path = folder/Path(m['file']).name
    synth().write(m, path, seed)
    return path

def numbers(name:str)->tuple[dict, dict]:
    "The cases called `name`, and what their inputs are made of"
    cases = cases_of(name)
    return cases, json.loads(str(cases['spec']))

def draws(seed:int, shapes)->dict:
    "Normal numbers by name: one generator, in the listed order of (name, shape, scale)"
    g = np.random.Generator(np.random.PCG64(seed))
    return {name: g.standard_normal(shape, np.float32) * np.float32(scale) for name, shape, scale in shapes}

def blocks(seed:int, size, n:int)->np.ndarray:
    "A picture of coloured squares, [h,w,3] uint8"
    h, w = size
    low = np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (-(-h // n), -(-w // n), 3), np.uint8)
    return low.repeat(n, 0).repeat(n, 1)[:h, :w]

def fits(net, name:str, rename=lambda w: w):
    "Do the tensors of a network, which may be on the device `meta`, equal those of a published file"
    import torch
    m = manifest(name)
    want = rename({n: torch.empty(s, device='meta') for n, s, _ in m['params']})
    own = net.state_dict()
    assert {k: tuple(v.shape) for k, v in own.items()} == {k: tuple(want[k].shape) for k in own}
    return set(want) - set(own)

def close(got, want, atol): np.testing.assert_allclose(got, want, rtol=0, atol=atol)
