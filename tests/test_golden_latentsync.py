"LatentSync 1.5 and 1.6 against what the original networks and the original pipeline answer on synthetic numbers."
import json
import numpy as np, pytest, torch
from lipsync_kit.models.latentsync.blocks import Positions, sinusoids
from lipsync_kit.models.latentsync.face import LEFT, RIGHT, Aligner, aligned, canvas_size, canvases, chosen_face, edge, mask, restored, small_mask, training_box
from lipsync_kit.models.latentsync.schedule import DDIM
from lipsync_kit.models.latentsync.sound import heard, n_heard
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

def test_ddim(cases, spec):
    case = spec['ddim']; given = drawn(case)
    close(DDIM().alphas[::37], cases['ddim.alphas_cumprod'], 1e-5); close(DDIM().alphas[0], cases['ddim.final_alpha'], 1e-6)
    for n in case['steps']: assert DDIM(n).steps == cases[f'ddim.timesteps.{n}'].tolist()
    ddim, x = DDIM(case['run_steps']), given['latents'] * float(cases['ddim.sigma'])
    assert ddim.steps == cases[f'ddim.timesteps.{case["run_steps"]}'].tolist()
    for i, t in enumerate(ddim.steps):
        x = ddim.step(x, given[f'eps{i}'], t)
        close(x, cases[f'ddim.step{i}'], 1e-4)

def test_chunks(cases, spec):
    for i, (n, fps) in enumerate(spec['chunks']):
        got = [(5 * heard(k, fps, n)[:, None] + np.arange(5)).ravel() for k in range(n_heard(n, fps))]
        assert np.array_equal(got, cases[f'chunks.{i}.index']), (n, fps)

def test_mask(cases, spec):
    left, right = (edge(knots, cases['mask.rows'][:, 0]) for knots in (LEFT, RIGHT))
    assert np.array_equal(np.stack([left, right], 1), cases['mask.rows'][:, 1:])
    for size in spec['mask']: close(small_mask(size), cases[f'mask.latent{size}'], 1e-6)
    close(small_mask(512), cases['mask.64'], 1e-6)
    assert len(np.unique(mask(512))) == cases['mask.levels512']; close(mask(512).sum(dtype=float), cases['mask.sum512'], .01)

def image(seed, size, block):
    "A frame of coloured blocks"
    h, w = size
    a = np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (-(-h // block), -(-w // block), 3), np.uint8)
    return np.ascontiguousarray(a.repeat(block, 0).repeat(block, 1)[:h, :w])

def near(got, want, most=2):
    "All but a thousandth within `most` grey levels, and the mean far less"
    off = np.abs(got.astype(int) - want)
    assert (off <= most).mean() >= .999 and off.mean() < .3, (off.max(), off.mean())

@pytest.mark.parametrize('i', [0, 1])
def test_align(cases, spec, i):
    case = spec['align'][i]; points = cases[f'align.{i}.points']; size = case['resolution']
    matrices = list(map(Aligner(size).matrix, points))
    close(matrices, cases[f'align.{i}.matrices'], 1e-3)
    assert (0, 0, *canvas_size(size)) == tuple(cases[f'align.{i}.box'])
    for j, want in zip((0, len(points) - 1), cases[f'align.{i}.faces']):
        near(aligned(image(case['seed'] + 100 + j, case['size'], case['block']), matrices[j], size).transpose(2, 0, 1)[:, ::8, ::8], want)

@pytest.mark.parametrize('i', [0, 1])
def test_restore(cases, spec, i):
    case = spec['restore'][i]; size = case['resolution']; aligner = Aligner(size)
    for j, (points, want) in enumerate(zip(cases[f'restore.{i}.points'], cases[f'restore.{i}.out'])):
        face = torch.from_numpy(image(case['face_seed'] + j, (size, size), case['face_block']).transpose(2, 0, 1)[None] / np.float32(127.5) - 1)
        got = restored(image(case['seed'] + 100 + j, case['size'], case['block']), canvases(face)[0], aligner.matrix(points))[::2, ::2]
        near(got, want); assert np.abs(got.astype(int) - want).mean() < .1

def test_detect(cases, spec):
    best = chosen_face(cases['detect.boxes'], cases['detect.scores'])
    assert best == cases['detect.chosen']
    h, w = spec['detect'][0]['size']
    assert training_box(cases['detect.landmarks'][best], cases['detect.boxes'][best], (w, h)) == cases['detect.bbox'].tolist()
