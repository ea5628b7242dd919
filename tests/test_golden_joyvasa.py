"JoyVASA against what the official networks and the official program answer on synthetic numbers."

import numpy as np, pytest, torch
from lipsync_kit.nn.joyvasa import Context, JoySampling, JoySize, JoyVasa, load_joyvasa, network_weights, sample, windows
from lipsync_kit.models.liveportrait.crop import open_ratios
from lipsync_kit.models.liveportrait.drawing import Driver, Portrait
from lipsync_kit.models.liveportrait.keypoints import Animation, extracted
from lipsync_kit.models.vasa.motion import LAG, JoyFrames, JoyMoment, JoyMotion, Smoothed, as_face_motion, mapped, template_of
from lipsync_kit.nn.liveportrait import load_correctors
from golden import cases_of, close, manifest
from test_golden_liveportrait import write_synthetic

pytest.importorskip('transformers')
HOME, BOTH = 'joyvasa', ('constant', 'per_position')

@pytest.fixture(scope='module')
def folder(tmp_path_factory): return tmp_path_factory.mktemp('joyvasa')

@pytest.fixture(scope='module')
def full():return cases_of(HOME)

@pytest.fixture(scope='module')
def tiny(): return cases_of(f'{HOME}/tiny')

@pytest.fixture(scope='module')
def net(folder, tiny): return load_joyvasa(write_synthetic(HOME, 'tiny', folder/'tiny.pt', int(tiny['param_seed']))).net

@pytest.fixture(scope='module')
def whole(folder, full):
    path = write_synthetic(HOME, '.', folder/'full.pt', int(full['param_seed']))
    net = load_joyvasa(path).net
    path.unlink()
    return net

def generator(seed): return np.random.Generator(np.random.PCG64(int(seed)))

def inputs(seed, b, size:JoySize):
    g = generator(seed)
    shapes = (b, size.frames, size.motion), (b, size.frames, size.width), (b, size.previous, size.motion), (b, size.previous, size.width)
    return [torch.from_numpy(g.standard_normal(s, dtype=np.float32)) for s in shapes]

class Draws:
    def __init__(self, seed): self.g, self.n = generator(seed), 0
    def __call__(self, *shape):
        self.n += 1
        return torch.from_numpy(self.g.standard_normal(shape, dtype=np.float32))

def wave(seed, n):
    g = generator(seed)
    t = np.arange(n) / 16000
    f = g.uniform(100, 300)
    return (.3 * np.sin(2 * np.pi * (f + 150 * t) * t) * (.5 + .5 * np.sin(2 * np.pi * 3 * t)) + .02 * g.standard_normal(n)).astype(np.float32)

def test_golden_layout():
    m = manifest(HOME)
    with torch.device('meta'): own = JoyVasa().state_dict()
    want = network_weights({n: torch.empty(s, device='meta') for n, s, _ in m['params']}, own)
    assert {k: tuple(v.shape) for k, v in own.items()} == {k: tuple(v.shape) for k, v in want.items()}

@pytest.mark.parametrize('positions', BOTH)
def test_golden_denoiser(full, tiny, whole, net, positions):
    with torch.no_grad():
        x, a, pm, pa = inputs(full['denoise_seed'], 1, whole.size)
        close(whole.denoising_net(x, a, pm, pa, torch.tensor([int(full['denoise_step'])]), positions), full[f'denoise_{positions}'], 2e-5)
        for i in (0, 1):
            b = int(tiny[f'denoise{i}_batch'])
            x, a, pm, pa = inputs(tiny[f'denoise{i}_seed'], b, net.size)
            step = torch.full((b,), int(tiny[f'denoise{i}_step']))
            close(net.denoising_net(x, a, pm, pa, step, positions), tiny[f'denoise{i}_{positions}'], 2e-5)

def test_golden_audio(tiny, net, full, whole):
    with torch.no_grad():
        x = torch.from_numpy(tiny['audio'])[None]
        close(net.states(x)[:, ::4, ::8], tiny['hubert'], 2e-5)
        close(net.heard(x), tiny['audio_feat'], 2e-5)
        close(whole.heard(torch.from_numpy(wave(full['slow_audio_seed'], 64000))[None])[..., ::2], full['slow_audio_feat'], 5e-5)

@pytest.mark.parametrize('positions', BOTH)
def test_golden_sampling(tiny, net, full, whole, positions):
    with torch.no_grad(): audio = net.heard(torch.from_numpy(tiny['audio'])[None])
    for name in [k for k in tiny if k.startswith(f'sample_{positions}_')]:
        scale, flexibility = map(float, name.split('_')[-2:])
        draws = Draws(tiny['sample_seed'])
        got, _ = sample(net, audio, None, draws, JoySampling(scale, positions, flexibility))
        close(got, tiny[name], 1e-4)
        assert draws.n == tiny['sample_draws']
    x, a, pm, pa = inputs(tiny['sample_cont_inputs_seed'], 1, net.size)
    got, _ = sample(net, a, Context(pm, pa), Draws(tiny['sample_cont_seed']), JoySampling(2.8, positions), x)
    close(got, tiny[f'sample_cont_{positions}'], 1e-4)
    a = inputs(full['slow_sample_audio_seed'], 1, whole.size)[1]
    got, _ = sample(whole, a, None, Draws(full['slow_sample_seed']), JoySampling(2.8, positions))
    close(got, full[f'slow_sample_{positions}'], 2e-4)

@pytest.mark.parametrize('positions', BOTH)
@pytest.mark.parametrize('name', ['long', 'short'])
def test_golden_sequences(tiny, net, positions, name):
    if f'seq_{name}_windows_{positions}' not in tiny: pytest.skip('this case holds the other position table only')
    draws = Draws(tiny[f'seq_{name}_noise_seed'])
    x = wave(tiny[f'seq_{name}_audio_seed'], int(tiny[f'seq_{name}_samples']))
    found = list(windows(net, x, draws, JoySampling(2.8, positions)))
    assert (draws.n, sum(w.n for w in found)) == (tiny[f'seq_{name}_draws'], tiny[f'seq_{name}_frames'])
    close(np.stack([w.motion for w in found]), tiny[f'seq_{name}_windows_{positions}'], 1e-4)

FIELDS = 'exp scale t pitch yaw roll R'.split()

def fields(f:JoyFrames):
    "The frames as the official program names them"
    m = as_face_motion(f)
    return dict(exp=f.exp, scale=f.scale, t=f.t, pitch=f.angles[:, :1], yaw=f.angles[:, 1:2], roll=f.angles[:, 2:], R=m.R.reshape(-1, 9))

def near(got, want, degrees): np.testing.assert_allclose(got, want, rtol=1e-4 if degrees else 0, atol=2e-3 if degrees else 2e-4)

@pytest.mark.parametrize('positions', BOTH)
@pytest.mark.parametrize('name', ['long', 'short'])
def test_golden_template(tiny, positions, name):
    "From the official windows to expression, scale, shift, angles, smoothed and not"
    head = f'seq_{name}_{positions}_'
    if f'{head}exp' not in tiny: pytest.skip('this case holds the other position table only')
    template = template_of({k.removeprefix('tpl_'): v for k, v in tiny.items() if k.startswith('tpl_')})
    rows = np.concatenate(tiny[f'seq_{name}_windows_{positions}'])[:int(tiny[f'seq_{name}_frames'])]
    plain = mapped(rows, template)
    for k, v in fields(plain).items(): near(v, tiny[head + k], k in ('pitch', 'yaw', 'roll'))
    for k, v in fields(Smoothed()(plain)).items():
        if k != 'exp': near(v, tiny[f'{head}smooth_{k}'], k in ('pitch', 'yaw', 'roll'))

def test_golden_motion_over_time(tiny, net):
    "The same frames from a stream, asked for by time"
    template = template_of({k.removeprefix('tpl_'): v for k, v in tiny.items() if k.startswith('tpl_')})
    x = wave(tiny['seq_long_audio_seed'], int(tiny['seq_long_samples']))
    motion = JoyMotion(windows(net, x, Draws(tiny['seq_long_noise_seed'])), template, True, LAG)
    frames = [motion.frames_at(i / 25) for i in range(int(tiny['seq_long_frames']))]
    close(np.concatenate([f.exp for f in frames]), tiny['seq_long_constant_exp'], 5e-4)
    close(np.concatenate([f.angles for f in frames])[:, :1], tiny['seq_long_constant_smooth_pitch'], 2e-2)

MAPS = dict(cli={}, stitching=dict(stitching=True), lip=dict(region='lip'), exp=dict(region='exp'), pose=dict(region='pose'),
            expression_friendly=dict(relative=True),
            normalize_lip=dict(relative=True, normalize_lip=True, stitching=True, multiplier=1.))

@pytest.mark.parametrize('name', MAPS)
def test_golden_mapping(tiny, folder, name):
    nets = load_correctors(write_synthetic('liveportrait', 'stitching_retargeting_module', folder/f'{name}.pth', int(tiny['param_seed'])))
    def correct(name, x):
        with torch.no_grad(): return nets[name](torch.from_numpy(np.ascontiguousarray(x, np.float32))).numpy()
    face = extracted({k.removeprefix('src_'): v for k, v in tiny.items() if k.startswith('src_') and k != 'src_lmk203'})
    close(face.x, tiny['map_x_s'], 1e-5)
    p = Portrait(None, face, open_ratios(tiny['src_lmk203']), None, None, [])
    a = Animation(**{**dict(relative=False, stitching=False, multiplier=1.1), **MAPS[name]})
    f = {k: tiny[f'map_in_{k}'] for k in FIELDS}
    m = as_face_motion(JoyFrames(f['exp'], f['scale'], f['t'], np.hstack([f[k] for k in ('pitch', 'yaw', 'roll')])))
    driver = Driver(correct, a)
    got = [driver(p, JoyMoment(m.at(i), m.at(0), a.region)) for i in range(int(tiny['map_frames']))]
    close(np.concatenate(got), tiny[f'map_{name}'], 2e-5)
