"LatentSync 1.5 and 1.6 against what the original networks and the original pipeline answer on synthetic numbers."
import json
import numpy as np, pytest, torch
from lipsync_kit.models.latentsync.blocks import Positions, sinusoids
from lipsync_kit.models.latentsync.unet import UNet3D, load_unet
from golden import CASES, GOLDEN, close, synth

FOLDER = GOLDEN/'latentsync'

@pytest.fixture(scope='module')
def cases():
    if not (CASES/'latentsync'/'cases.npz').exists() or not FOLDER.exists(): pytest.skip(f'no golden cases at {CASES/"latentsync"}; set LIPSYNC_GOLDEN')
    return dict(np.load(CASES/'latentsync'/'cases.npz'))

@pytest.fixture(scope='module')
def spec(cases): return json.loads(str(cases['spec']))

def manifest(name:str)->dict: return json.loads((FOLDER/name/'manifest.json').read_text())

def written(cases, name, path):
    "A synthetic file of the layout `name`"
    synth().write(manifest(name), path, int(cases['param_seed']))
    return path

@pytest.fixture(scope='module')
def unet(cases, tmp_path_factory): return load_unet(written(cases, 'tiny', tmp_path_factory.mktemp('unet')/'latentsync_unet.pt'))

def drawn(case):
    "The inputs of a case by name"
    g = np.random.Generator(np.random.PCG64(case['seed']))
    return {name: torch.from_numpy(g.standard_normal(shape, np.float32) * np.float32(scale)) for name, shape, scale in case['draws']}

def test_layout():
    if not FOLDER.exists(): pytest.skip(f'no golden cases at {FOLDER}')
    with torch.device('meta'): own = UNet3D().state_dict()
    assert {k: list(v.shape) for k, v in own.items()} == {n: s for n, s, _ in manifest('')['params']}

@pytest.mark.parametrize('i', [0, 1])
def test_unet(cases, spec, unet, i):
    case = spec['unet'][i]; given = drawn(case)
    with torch.no_grad(): close(unet(given['x'], case['t'], given['audio']), cases[f'unet.{i}.out'], 1e-4)

@pytest.mark.parametrize('i', [0, 1])
def test_unet_with_sinusoids(cases, spec, unet, i):
    case = spec['unet_sin'][i]; given = drawn(case)
    tables = [m for m in unet.modules() if isinstance(m, Positions)]
    kept = [m.pe for m in tables]
    for m in tables: m.pe = sinusoids(*m.pe.shape[1:])[None]
    with torch.no_grad(): got = unet(given['x'], case['t'], given['audio'])
    for m, pe in zip(tables, kept): m.pe = pe
    close(got, cases[f'unet_sin.{i}.out'], 1e-4)

@pytest.mark.parametrize('i', [0, 1])
def test_motion(cases, spec, unet, i):
    case = spec['motion'][i]; x = drawn(case)['x']; b, _, f = x.shape[:3]
    with torch.no_grad(): got = unet.get_submodule(case['module'])(x.transpose(1, 2).flatten(0, 1), f)
    close(got.unflatten(0, (b, f)).transpose(1, 2)[:, ::2], cases[f'motion.{i}.out'], 1e-4)
