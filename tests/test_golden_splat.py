"The rasteriser of Gaussians against gsplat's arithmetic in float64: picture 1e-5, gradients 1e-4 of the largest."
import numpy as np, pytest, torch
from golden import CASES
from lipsync_kit.nn.splat import project, render, rotations, sh_colours

NAMES = 'ortho_sh0', 'ortho_sh1', 'pinhole_sh1', 'dense_early_stop'
INPUTS = 'means', 'quats', 'scales', 'opacities', 'sh'

def case(name):
    path = CASES/'gaussian'/f'{name}.npz'
    if not path.exists(): pytest.skip(f'no golden cases at {path}; set LIPSYNC_GOLDEN')
    d = np.load(path)
    return d, {k: torch.tensor(d[k], dtype=torch.float32).requires_grad_() for k in INPUTS}

def t(x): return torch.tensor(x, dtype=torch.float32)

def drawn(d, p, threads=1):
    view, K, size, camera = t(d['viewmat']), t(d['K']), (int(d['width']), int(d['height'])), str(d['camera'])
    colours = sh_colours(p['sh'], p['means'], view, int(d['degree']))
    return render(p['means'], (p['quats'], p['scales']), p['opacities'], colours, view, K, size, t(d['background']), camera, threads=threads)

@pytest.mark.parametrize('name', NAMES)
def test_golden_projection(name):
    d, p = case(name)
    M = rotations(p['quats'])*p['scales'][:, None]
    places, conics, depths = project(p['means'], M, t(d['viewmat']), t(d['K']), (int(d['width']), int(d['height'])), str(d['camera']))
    for got, want in (places, 'means2d'), (conics, 'conics'), (depths, 'depths'): assert np.abs(got.detach().numpy() - d[want]).max() < 1e-5

@pytest.mark.parametrize('threads', (1, 2))
@pytest.mark.parametrize('name', NAMES)
def test_golden_picture_and_gradients(name, threads):
    d, p = case(name)
    picture, left = drawn(d, p, threads)
    assert np.abs(picture.detach().numpy() - d['image']).max() < 1e-5
    assert np.abs(1 - left.numpy() - d['alpha']).max() < 1e-5
    (picture*t(d['grad_image'])).sum().backward()
    for k in INPUTS:
        want = d[f'grad_{k}']
        assert np.abs(p[k].grad.numpy() - want).max() < 1e-4*np.abs(want).max(), k
