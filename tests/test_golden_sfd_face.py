"sfd_face against what the original network and its post-processing answer."
import numpy as np, pytest, torch
from lipsync_kit.hub.memory import ModelManager
from lipsync_kit.faces.sfd_face import SFDFace, found_faces, priors, sfd_boxes, sfd_input
from golden import close, loaded

@pytest.fixture(scope='module')
def golden(tmp_path_factory): return loaded('sfd_face', SFDFace(), tmp_path_factory.mktemp('golden'))

@pytest.mark.parametrize('case', ['c0', 'c1'])
@torch.no_grad()
def test_golden_network(golden, case):
    cases, net = golden
    h, w = cases[f'{case}_shape']
    rng = np.random.Generator(np.random.PCG64(int(cases[f'{case}_seed'])))
    x = sfd_input(rng.integers(0, 256, (h, w, 3), dtype=np.uint8))
    loc, conf, sizes = net(x)
    close(loc[0], cases[f'{case}_loc'], 1e-5)
    close(conf[0], cases[f'{case}_conf_logit'], 1e-5)
    close(priors(sizes, (h, w))[::7], cases[f'{case}_priors'], 1e-6)

def test_golden_boxes(golden):
    cases, net = golden
    h, w = (int(v) for v in cases['post_picture'])
    k = float(cases['post_scale'])
    with torch.device('meta'): sizes = SFDFace()(torch.zeros(1, 3, round(h * k), round(w * k)))[2]
    loc, conf = (torch.from_numpy(cases[f'post_{n}'].astype(np.float32)) for n in ('loc', 'conf_logit'))
    found = found_faces(loc, conf, priors(sizes, (round(h * k), round(w * k))))
    close(found, cases['post_first'], 1e-5)
    for least, key in ((.9, 'post_boxes_09'), (.5, 'post_boxes_05')):
        close(sfd_boxes([found], (h, w), least), cases[key], 1e-2)

@torch.no_grad()
def test_golden_finder_of_the_manager(golden, tmp_path):
    "The file, read and run as the manager does it, at a quarter of the size"
    cases, net = golden
    h, w = cases['c0_shape']
    small = np.random.Generator(np.random.PCG64(int(cases['c0_seed']))).integers(0, 256, (h, w, 3), dtype=np.uint8)
    loaded('sfd_face', SFDFace(), tmp_path)
    find = ModelManager().load('sfd_face', 'cpu', path=tmp_path/'sfd_face.pth')
    found = find.at(small.repeat(4, 0).repeat(4, 1), .25)   # back at a quarter, it is the case's picture
    squares = priors(net(sfd_input(small))[2], (h, w))
    want = found_faces(torch.from_numpy(cases['c0_loc']), torch.from_numpy(cases['c0_conf_logit']), squares)
    close(found, want, 1e-4)
