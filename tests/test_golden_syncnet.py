"SyncNet and the evaluation around it against what the original code answers."
import numpy as np, pytest, torch
from lipsync_kit.nn.syncnet import Embedder, SyncNet
from golden import close, loaded

@pytest.fixture(scope='module')
def golden(tmp_path_factory): return loaded('syncnet', SyncNet(), tmp_path_factory.mktemp('golden'))

@pytest.fixture(scope='module')
def embedder(golden): return Embedder(golden[1], 'cpu')

def rng(seed): return np.random.Generator(np.random.PCG64(int(seed)))

@pytest.mark.parametrize('case', ['c0', 'c1'])
@torch.no_grad()
def test_golden_network(golden, embedder, case):
    cases, net = golden
    b, first = int(cases[f'{case}_B']), int(cases[f'{case}_first'])
    frames = rng(cases[f'{case}_seed']).integers(0, 256, (b, 5, 224, 224, 3), dtype=np.uint8).transpose(0, 4, 1, 2, 3)
    lips = torch.from_numpy(frames.astype(np.float32))
    heard = np.stack([cases['mfcc'][4 * i:4 * i + 20].T for i in range(first, first + b)])[:, None]
    close(net.audio(torch.from_numpy(heard)), cases[f'{case}_aud'], 1e-4); close(embedder.audio(heard), cases[f'{case}_aud'], 1e-4)
    close(net.lip(lips), cases[f'{case}_lip'], 2e-3); close(net.lipfeat(lips), cases[f'{case}_lipfeat'], 2e-3)
    close(embedder.lip(frames), cases[f'{case}_lip'], 2e-3)
