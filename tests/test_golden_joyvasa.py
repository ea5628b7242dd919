"JoyVASA against what the official networks and the official program answer on synthetic numbers."

import numpy as np, pytest, torch
from lipsync_kit.nn.joyvasa import Context, JoySampling, JoySize, JoyVasa, load_joyvasa, network_weights, sample, windows
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
