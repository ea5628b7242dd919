"LivePortrait against what the official networks and the official pipeline answer on synthetic numbers."
import importlib.util
from pathlib import Path
import numpy as np, pytest, torch
from lipsync_kit.nn.convnext import MotionExtractor
from lipsync_kit.nn.dense_motion import WarpingModule
from lipsync_kit.nn.liveportrait import (
    CORRECTORS, EYES, LIPS, STITCHING, AppearanceExtractor, Corrector, load_appearance, load_correctors, load_decode, load_motion, load_warp)
from lipsync_kit.nn.spade import SpadeGenerator, without_spectral_norm
from golden import GOLDEN, cases_of, close, fits, manifest

HOME = 'liveportrait'
LOADERS = dict(appearance_feature_extractor=load_appearance, motion_extractor=load_motion, warping_module=load_warp,
               spade_generator=load_decode)

def write_synthetic(home:str, name:str, path:Path, seed:int):
    "A synthetic file in the published container, by the writer that lies beside the cases"
    m = manifest(f'{home}/{name}'.removesuffix('/.'))
    if not (GOLDEN/home/'write_synthetic.py').exists(): pytest.skip(f'no writer of synthetic files at {GOLDEN/home}')
    spec = importlib.util.spec_from_file_location(f'{home}_writer', GOLDEN/home/'write_synthetic.py')
    writer = importlib.util.module_from_spec(spec); spec.loader.exec_module(writer)
    writer.write(m, path, seed)
    return path

def network(name:str, folder:Path):
    "The cases called `name`, and the network with its synthetic weights"
    cases = cases_of(f'{HOME}/{name}')
    path = write_synthetic(HOME, name, folder/f"{name.replace('/', '_')}.pth", int(cases['param_seed']))
    net = LOADERS[name.split('/')[0]](path)
    path.unlink()
    return cases, net

@pytest.fixture(scope='module')
def folder(tmp_path_factory): return tmp_path_factory.mktemp('liveportrait')

def generator(cases, key): return np.random.Generator(np.random.PCG64(int(cases[f'{key}_seed']))), int(cases[f'{key}_size'])

def numbered(cases): return sorted({k.split('_')[0] for k in cases if k.startswith('case')})

def answer(name, folder, given, want, slow=False):
    "Every case of a network"
    cases, net = network(name, folder)
    keys = [k for k in {x.split('_')[0] for x in cases} if k.startswith('slow' if slow else 'case')]
    assert keys
    with torch.no_grad():
        for key in keys:
            g, size = generator(cases, key)
            want(net, given(g, size, int(cases[f'{key}_seed']), net), {k.removeprefix(f'{key}_'): v for k, v in cases.items() if k.startswith(key)})

def picture(g, size, seed, net):
    if seed % 100 == 3: return torch.from_numpy(np.kron(g.random((1, 3, 8, 8), dtype=np.float32), np.ones((size//8, size//8), np.float32)))
    return torch.from_numpy(g.random((1, 3, size, size), dtype=np.float32))

def test_golden_layouts():
    "The full networks have the names and shapes of the published files"
    with torch.device('meta'):
        assert not fits(AppearanceExtractor(), f'{HOME}/appearance_feature_extractor')
        assert not fits(MotionExtractor(), f'{HOME}/motion_extractor')
        assert not fits(WarpingModule(), f'{HOME}/warping_module')
        assert not fits(SpadeGenerator(), f'{HOME}/spade_generator', without_spectral_norm)
    m = {n: tuple(s) for n, s, _ in manifest(f'{HOME}/stitching_retargeting_module')['params']}
    own = {f'{g}.{k}': tuple(v.shape) for g, widths in CORRECTORS.items() for k, v in Corrector(widths).state_dict().items()}
    assert own == m

@pytest.mark.parametrize('slow', [False, True])
def test_golden_appearance(folder, slow):
    step = 5 if slow else 3
    def check(net, x, want): close(net(x)[:, ::step, ::step, ::step, ::step], want['out'], 2e-5)
    answer('appearance_feature_extractor', folder, picture, check, slow)

def test_golden_motion(folder):
    def check(net, x, want):
        for k, v in net(x).items(): close(v, want[k], 2e-5)
    answer('motion_extractor', folder, picture, check)

def moved_volume(g, size, seed, net):
    c = net.size.channels
    f = g.standard_normal((1, c, 16, size, size), dtype=np.float32)
    ks = g.uniform(-.6, .6, (1, 21, 3)).astype(np.float32)
    kd = (ks + .08 * g.standard_normal((1, 21, 3))).astype(np.float32)
    return [torch.from_numpy(x) for x in (f, ks, kd)]

@pytest.mark.parametrize('name', ['warping_module/tiny', 'warping_module'])
def test_golden_warp(folder, name):
    tiny = name.endswith('tiny')
    def check(net, given, want):
        moved = net.deformation(*given)
        close(moved.occlusion, want['occlusion_map'], 2e-5)
        close(moved.grid[:, ::3, ::2, ::2], want['deformation'], 2e-5)
        out = net(*given)
        close(out if tiny else out[:, ::5, ::2, ::2], want['out'], 5e-5)
    answer(name, folder, moved_volume, check)

@pytest.mark.parametrize('name', ['spade_generator/tiny', 'spade_generator'])
def test_golden_decode(folder, name):
    def feature(g, size, seed, net):
        return torch.from_numpy(g.standard_normal((1, net.fc.in_channels, size, size), dtype=np.float32))
    def check(net, x, want): close(net(x)[:, :, ::2, ::2], want['out'], 2e-5)
    answer(name, folder, feature, check)

@pytest.fixture(scope='module')
def correctors(folder):
    seed = int(cases_of(f'{HOME}/stitching_retargeting_module')['param_seed'])
    return load_correctors(write_synthetic(HOME, 'stitching_retargeting_module', folder/'stitching.pth', seed))

def test_golden_correctors(correctors):
    cases = cases_of(f'{HOME}/stitching_retargeting_module')
    for name, word in ((STITCHING, 'stitching'), (LIPS, 'lip'), (EYES, 'eye')):
        with torch.no_grad(): close(correctors[name](torch.from_numpy(cases[f'{word}_in'])), cases[f'{word}_out'], 2e-5)
