"LivePortrait against what the official networks and the official pipeline answer on synthetic numbers."
import importlib.util
from pathlib import Path
import numpy as np, pytest, torch
from lipsync_kit.nn.convnext import MotionExtractor
from lipsync_kit.nn.dense_motion import WarpingModule
from lipsync_kit.nn.liveportrait import (
    CORRECTORS, EYES, LIPS, STITCHING, AppearanceExtractor, Corrector, load_appearance, load_correctors, load_decode, load_motion, load_warp)
from lipsync_kit.nn.spade import SpadeGenerator, without_spectral_norm
from lipsync_kit.models.liveportrait.crop import (
    DRIVING, SOURCE, CropRule, box_matrix, corners, crop_box, crop_matrix, limited, official_alpha, official_crop, official_mask, official_paste, open_ratios,
    reduced, turned_corners, two_points)
from lipsync_kit.models.liveportrait.keypoints import (
    NEUTRAL, Animation, Animator, Corrections, FaceMotion, KalmanSmoother, Ratios, extracted, rotation)
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

# ---- keypoints, loop, crops, paste back

@pytest.fixture(scope='module')
def cases(): return cases_of(HOME)

@pytest.fixture(scope='module')
def fix(folder, cases):
    nets = load_correctors(write_synthetic(HOME, 'stitching_retargeting_module', folder/'correct.pth', int(cases['param_seed'])))
    def correct(name, x):
        with torch.no_grad(): return nets[name](torch.from_numpy(np.ascontiguousarray(x, np.float32))).numpy()
    return Corrections(correct)

@pytest.fixture(scope='module')
def portrait(cases): return extracted({k.removeprefix('raw_'): v for k, v in cases.items() if k.startswith('raw_')})

@pytest.fixture(scope='module')
def driving(cases):
    return FaceMotion(cases['drv_exp'][:, 0], cases['drv_R'][:, 0], cases['drv_scale'][:, 0], cases['drv_t'][:, 0])

def test_golden_extracted(cases, portrait):
    close(portrait.angles, np.concatenate([cases[f'info_{k}'] for k in ('pitch', 'yaw', 'roll')], 1), 1e-4)
    close(portrait.motion.R, cases['R_s'], 1e-5)
    close(portrait.x, cases['x_s'], 1e-5)
    for k in ('exp', 'scale', 't'): close(getattr(portrait.motion, k), cases[f'info_{k}'], 1e-6)
    close(portrait.kp, cases['info_kp'], 1e-6)
    for i in range(4): close(rotation(cases[f'drv{i}_angles'])[0], cases['drv_R'][i, 0], 1e-5)

def test_golden_corrections(cases, fix, portrait):
    x_s = portrait.x
    close(fix.stitched(x_s, cases['stitch_kp_driving']), cases['stitch_out'], 2e-5)
    close(fix.eyes(x_s, cases['eye_in'][:, :2], cases['eye_in'][:, 2:]), cases['eye_delta'], 2e-5)
    close(fix.lips(x_s, cases['lip_in'][:, :1], cases['lip_in'][:, 1:]), cases['lip_delta'], 2e-5)

def test_golden_ratios(cases):
    got = open_ratios(cases['lmk203'])
    close(got.eyes, cases['eye_ratio'], 1e-5)
    close(got.lip, cases['lip_ratio'], 1e-5)

CONFIGS = dict(default={}, pose_friendly=dict(driving='pose-friendly'), absolute=dict(relative=False),
               normalize_lip=dict(normalize_lip=True), no_stitching=dict(stitching=False),
               retarget=dict(eye_retargeting=True, lip_retargeting=True),
               retarget_abs=dict(relative=False, eye_retargeting=True, lip_retargeting=True), multiplier=dict(multiplier=1.3),
               **{f'{w}_{r}': dict(relative=w == 'rel', region=r) for w in ('rel', 'abs') for r in ('exp', 'pose', 'lip', 'eyes')})

@pytest.mark.parametrize('name', CONFIGS)
def test_golden_loop(cases, fix, portrait, driving, name):
    ratios = Ratios(cases['drv_eyes'][:, 0], cases['drv_lip'][:, 0])
    animate = Animator(portrait, open_ratios(cases['lmk203']), fix, Animation(**CONFIGS[name]), driving.at(0))
    close(animate(driving, ratios), cases[f'xd_{name}'], 2e-5)
    one = [animate(driving.at(i), Ratios(ratios.eyes[i:i+1], ratios.lip[i:i+1])) for i in range(4)]
    close(np.concatenate(one), cases[f'xd_{name}'], 2e-5)

def test_golden_image_driven(cases, fix, portrait, driving):
    animate = Animator(portrait, open_ratios(cases['lmk203']), fix, neutral=NEUTRAL)
    close(NEUTRAL, cases['lip_array'], 1e-7)
    close(animate(driving.at(1)), cases['xd_image_driven'], 2e-5)

def test_golden_kalman(cases):
    g = np.random.Generator(np.random.PCG64(int(cases['kalman_seed'])))
    x = (g.standard_normal((12, 1, 21, 3)).cumsum(0) * .01)[:, 0]
    for lookahead in (None, 5):
        smooth = KalmanSmoother(lookahead)
        rows = [r for y in x for r in smooth.push(y)] + smooth.flush()
        close(np.stack(rows), cases['kalman_out'], 1e-6)

@pytest.mark.parametrize('n', [106, 203, 68, 5])
def test_golden_crop(cases, n):
    points = cases[f'lmk{n}']
    close(two_points(points), cases[f'lmk{n}_pt2'], 1e-4)
    rules = dict(src=SOURCE, norot=SOURCE._replace(turned=False), lmk224=CropRule(1.5, -.1, 224))
    for name, rule in rules.items():
        M = crop_matrix(points, rule)
        close(M[:, :2], cases[f'lmk{n}_{name}_M_o2c'][:2, :2], 1e-5)
        close(M[:, 2], cases[f'lmk{n}_{name}_M_o2c'][:2, 2], 1e-3)
    box = crop_box(points, DRIVING)
    want = {k.removeprefix(f'lmk{n}_bbox_'): v for k, v in cases.items() if k.startswith(f'lmk{n}_bbox_')}
    close(box.centre, want['center'], 1e-3)
    close([box.side] * 2, want['size'], 1e-3)
    close(box.angle, want['angle'], 1e-5)
    close(corners(box), want['bbox'], 1e-3)
    close(turned_corners(box), want['bbox_rot'], 1e-3)
    close(box_matrix(box, DRIVING)[:, 2], want['M_o2c'][:2, 2], 1e-3)

def test_golden_pictures(cases):
    image, M = cases['image'], crop_matrix(cases['lmk106'])
    crop = official_crop(image, M)
    close(crop[::4, ::4].astype(int), cases['crop512_s4'].astype(int), 1)
    close(reduced(crop)[1::4, 1::4].astype(int), cases['crop256_s4'].astype(int), 1)
    assert np.array_equal(official_mask(), cases['mask_template'])
    close(official_alpha(M, image.shape[1::-1])[::3, ::3], cases['mask_ori_s3'], 1 / 255)
    close(official_paste(image, 255 - crop, M)[::3, ::3].astype(int), cases['paste_s3'].astype(int), 1)

def test_golden_size(cases):
    for given, want in zip(cases['limit_in'], cases['limit_out']):
        h, w = limited(np.zeros((*given, 3), np.uint8)).shape[:2]
        assert (h, w) == tuple(want)
