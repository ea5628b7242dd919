"The Wav2Lip generators against what the original networks answer on synthetic numbers."
import importlib.util, json, os
from pathlib import Path
import numpy as np, pytest, torch
from lipsync_kit.nn.wav2lip import COMPRESSED, ORIGINAL, Wav2Lip
from lipsync_kit.weights import fill, read_weights

GOLDEN = Path(os.environ.get('LIPSYNC_GOLDEN', Path(__file__).parent.parent.parent/'shared'/'golden'))
CASES = Path(os.environ.get('LIPSYNC_GOLDEN_CASES', GOLDEN))
KINDS = dict(wav2lip=(ORIGINAL, (2e-6, 1e-5, 2e-5)), lrs3_wav2lip=(ORIGINAL, (2e-6, 1e-5, 2e-5)), nota_wav2lip=(COMPRESSED, (1e-6, 5e-6, 5e-6)))

@pytest.fixture(scope='module', params=KINDS)
def golden(request, tmp_path_factory):
    "Name, cases and the network, its weights read from a synthetic file in the published container"
    name = request.param
    if not (CASES/name/'cases.npz').exists() or not (GOLDEN/'synth.py').exists(): pytest.skip(f'no golden cases at {CASES/name}; set LIPSYNC_GOLDEN')
    spec = importlib.util.spec_from_file_location('synth', GOLDEN/'synth.py'); synth = importlib.util.module_from_spec(spec); spec.loader.exec_module(synth)
    cases = dict(np.load(CASES/name/'cases.npz'))
    path = tmp_path_factory.mktemp('golden')/f'{name}.pth'
    synth.write(json.loads((GOLDEN/name/'manifest.json').read_text()), path, int(cases['param_seed']))
    return name, cases, fill(Wav2Lip(KINDS[name][0]), read_weights(path), name)

def inputs(case, seed):
    "Sound and faces of a case, from its seed"
    g = np.random.Generator(np.random.PCG64(int(seed)))
    if case == 'c0':
        u8 = g.integers(0, 256, (2, 96, 96, 3), dtype=np.uint8).transpose(0, 3, 1, 2)
        blank = u8.copy(); blank[:, :, 48:] = 0
        return g.uniform(-4, 4, (2, 1, 80, 16)).astype(np.float32), np.concatenate([blank, u8], 1).astype(np.float32) / 255
    if case == 'c1':
        faces = g.random((1, 6, 96, 96), dtype=np.float32)
        return np.tile(g.uniform(-4, 4, (1, 1, 80, 1)), (1, 1, 1, 16)).astype(np.float32), faces
    faces = g.random((2, 6, 3, 96, 96), dtype=np.float32)
    return g.uniform(-4, 4, (2, 3, 1, 80, 16)).astype(np.float32), faces

def strided(x, want):
    "Every n-th pixel of `x`, so that it has the size of what the case kept"
    step = -(-x.shape[-1] // want.shape[-1])
    return x[..., ::step, ::step]

@pytest.mark.parametrize('case', ['c0', 'c1', 'c2'])
def test_golden_network(golden, case):
    name, cases, net = golden
    tol = KINDS[name][1]
    mel, faces = map(torch.from_numpy, inputs(case, cases[f'{case}_seed']))
    logits = []
    hook = net.output_block[1].register_forward_hook(lambda m, i, o: logits.append(o.numpy()))
    with torch.no_grad(): out = net(mel, faces).numpy(); sound = net.audio_encoder(mel.flatten(0, -4)).numpy()
    hook.remove()
    np.testing.assert_allclose(strided(out, cases[f'{case}_out']), cases[f'{case}_out'], rtol=0, atol=tol[0])
    if f'{case}_logit' in cases: np.testing.assert_allclose(strided(logits[0], cases[f'{case}_logit']), cases[f'{case}_logit'], rtol=0, atol=tol[1])
    if f'{case}_audio' in cases: np.testing.assert_allclose(sound[..., 0, 0], cases[f'{case}_audio'], rtol=0, atol=tol[2])
