"EchoMimic against what the original networks, schedule and sampling loop answer on synthetic numbers."
from fractions import Fraction
import json
import numpy as np, pytest, torch
from lipsync_kit.core import Audio
from lipsync_kit.models.emo.blocks import Condition
from lipsync_kit.models.emo.unet import (
    DenoisingUNet, FaceLocator, Portrait, PortraitNets, ReferenceUNet, load_denoiser, load_portrait_nets)
from lipsync_kit.models.emo.preprocess import AROUND, crop_around, face_mask, widened
from lipsync_kit.models.emo.sampling import Windows, ddim_scheduler, guided_velocity, looped_windows, sample_together
from lipsync_kit.nn.frame_states import audio_features, first_state, n_reference_frames, reference_states
from lipsync_kit.nn.unet_blocks import sinusoids
from lipsync_kit.nn.whisper import load_whisper_encoder, mel_pieces
from lipsync_kit.hub.weights import load_weights, read_checkpoint
from golden import cases_of, checkpoint, close, draws, fits, manifest

@pytest.fixture(scope='module')
def cases(): return cases_of('echomimic')

@pytest.fixture(scope='module')
def recipe(cases): return json.loads(str(cases['recipe']))

@pytest.fixture(scope='module')
def folder(cases, tmp_path_factory):
    "The published files, small"
    folder = tmp_path_factory.mktemp('echomimic')
    for part in 'reference_unet', 'denoising_unet', 'motion_module', 'face_locator':
        checkpoint(f'echomimic/{part}/tiny', folder, int(cases[f'seed.{part}']))
    return folder

@pytest.fixture(scope='module')
def nets(folder): return load_portrait_nets(folder)

@pytest.fixture(scope='module')
def net(folder): return load_denoiser(folder)

def drawn(case): return {k: torch.from_numpy(v) for k, v in draws(case['seed'], case['draws']).items()}

def mask_of(size, rect, value):
    mask, (r0, r1, c0, c1) = torch.zeros(1, 1, *size), rect
    mask[..., r0:r1, c0:c1] = value
    return mask

def portrait_of(case, given, nets)->Portrait:
    return nets(given['ref_latents'], mask_of(case['size'], case['rect'], case['mask_value']))

def clips(x): return x.transpose(1, 2).flatten(0, 1)             # [b,c,f,h,w] -> [b*f,c,h,w]
def apart(x, b): return x.unflatten(0, (b, -1)).transpose(1, 2)   # and back

def test_layout():
    with torch.device('meta'):
        nets, net = PortraitNets(), DenoisingUNet()
        assert not fits(nets.reference, 'echomimic/reference_unet') and not fits(nets.locator, 'echomimic/face_locator')
        assert not fits(FaceLocator(c_in=3), 'echomimic/face_locator_pose')
    sizes = {n: tuple(s) for part in ('denoising_unet', 'motion_module') for n, s, _ in manifest(f'echomimic/{part}')['params']}
    assert {k: tuple(v.shape) for k, v in net.state_dict().items()} == sizes
    motion = {n for n, _, _ in manifest('echomimic/motion_module')['params']}
    assert motion == {k for k in net.state_dict() if 'motion_modules' in k}

@pytest.mark.parametrize('name', ['face_locator.0', 'face_locator.1', 'face_locator_pose.0'])
def test_face_locator(cases, recipe, tmp_path, name):
    part, case = name.split('.')[0], recipe[name]
    file = checkpoint(f'echomimic/{part}', tmp_path, int(cases[f'seed.{part}']))
    if part == 'face_locator':
        with torch.no_grad():
            net = load_weights(FaceLocator(), read_checkpoint(file))
            close(net(mask_of((case['h'], case['w']), case['rect'], case['value']))[0, ::8, ::3, ::3], cases[f'{name}.out'], 1e-4)
        return
    x = 8 * drawn(case)['landmarks'].abs().clip(0, 1)
    with torch.no_grad(): got = load_weights(FaceLocator(c_in=3), read_checkpoint(file))(x[0].transpose(0, 1))   # frame by frame
    close(got.transpose(0, 1)[::16, :, ::3, ::3], cases[f'{name}.out'], 1e-4)

def bank_names(): return ([f'down_blocks.{i}.attentions.{j}' for i in range(3) for j in range(2)] + ['mid_block.attentions.0']
                          + [f'up_blocks.{i}.attentions.{j}' for i in (1, 2, 3) for j in range(3)])

@pytest.mark.parametrize('i', [0, 1])
def test_reference_unet(cases, recipe, nets, i):
    latents = drawn(recipe[f'reference_unet.{i}'])['latents']
    close(latents, cases[f'reference_unet.{i}.latents'], 0)
    with torch.no_grad(): bank = nets.reference(latents)
    assert len(bank) == len(bank_names()) == 16
    for got, name in zip(bank, bank_names()):
        close(got[0, ::5, ::2], cases[f'reference_unet.{i}.bank.{name}.transformer_blocks.0'], 1e-4)

@pytest.mark.parametrize('i', [0, 1, 2])
def test_motion_module(cases, recipe, net, i):
    case = recipe[f'motion_module.{i}']
    x = drawn(case)['x']
    with torch.no_grad(): got = net.get_submodule(case['module'])(clips(x), x.shape[2])
    close(apart(got, len(x))[:, ::4], cases[f'motion_module.{i}.out'], 1e-4)

def test_positions(cases): close(sinusoids(32, 64)[None], cases['motion_module.pe_sinusoid'], 1e-6)

@pytest.mark.parametrize('i', [0, 1])
def test_reader_block(cases, recipe, net, i):
    "With guidance the first of the two sees no bank"
    case = recipe[f'reader_block.{i}']
    given, block = drawn(case), net.get_submodule(case['module'])
    def one(x, sound, bank):
        condition = Condition(None, sound, bank)
        with torch.no_grad(): return apart(block(clips(x[None]), condition), 1)
    banks = [None, iter([given['bank']])] if case['cfg'] else [iter([given['bank']])]
    got = torch.cat([one(*row) for row in zip(given['x'], given['audio'], banks)])
    close(got[:, ::4], cases[f'reader_block.{i}.out'], 1e-4)

@pytest.mark.parametrize('i', [0, 1, 2])
def test_denoising_unet(cases, recipe, nets, net, i):
    case = recipe[f'denoising_unet.{i}']
    given = drawn(case)
    portrait, x, sound = portrait_of(case, given, nets), clips(given['latents']), given['audio'][0]
    with torch.no_grad():
        rows = [net(x, case['t'], sound, portrait)]
        if case['cfg']: rows.insert(0, net(x, case['t'], torch.zeros_like(sound), portrait.unknown))
    close(torch.stack([r.transpose(0, 1) for r in rows]), cases[f'denoising_unet.{i}.out'], 1e-4)

@pytest.fixture(scope='module')
def audio_encoder(cases, tmp_path_factory):
    folder = tmp_path_factory.mktemp('whisper')
    (folder/'audio_processor').mkdir()
    return load_whisper_encoder(checkpoint('echomimic/audio_processor', folder, int(cases['seed.audio_processor'])))

def sound(x): return Audio(x.astype(np.float32) / 32768, 16000)

def windows_of(states, n, fps):
    windows = audio_features(states)
    return np.stack([windows.at(first_state(Fraction(k) / fps)) for k in range(n)])

def test_audio(cases, audio_encoder):
    wav = sound(cases['audio.0.pcm16k'])
    mel, n = next(mel_pieces(wav, 'whole'))
    k = cases['audio.0.mel'].shape[1]
    close(mel[:, :k], cases['audio.0.mel'], 1e-4)
    assert not mel[:, k:].any() and n == cases['audio.0.features_shape'][0]
    states = np.concatenate(list(audio_encoder(wav, 'whole')))
    close(states[::6], cases['audio.0.features'], 1e-4)
    for fps in 24, 25, 30: assert n_reference_frames(n, fps) == cases[f'audio.0.chunks_shape.fps{fps}'][0]
    got = windows_of([states], n_reference_frames(n, 24), 24)
    close(got[::9, ::7, ::8], cases['audio.0.chunks.fps24'], 1e-4)

def test_long_audio(cases, recipe, audio_encoder):
    "The join of two pieces of 30 s"
    case = recipe['audio_long.0']
    g = np.random.Generator(np.random.PCG64(case['seed']))
    pcm = (g.standard_normal(case['n'], np.float32) * case['scale']).astype(np.int16)
    states = np.concatenate(list(audio_encoder(sound(pcm), 'whole')))
    assert states.shape == tuple(cases['audio_long.0.features_shape'])
    close(states[1485:1515:3], cases['audio_long.0.features'], 1e-4)
    assert n_reference_frames(len(states), 24) == cases['audio_long.0.chunks_shape.fps24'][0]

@pytest.mark.parametrize('i', [0, 1, 2])
def test_windows_of_sound(cases, i):
    n, fps = int(cases[f'windows.{i}.n_features']), int(cases[f'windows.{i}.fps'])
    got = [reference_states(k, fps, n) for k in range(n_reference_frames(n, fps))]
    assert np.array_equal(got, cases[f'windows.{i}.index'])

def test_schedule(cases):
    close(ddim_scheduler().alphas_cumprod, cases['scheduler.alphas_cumprod'], 1e-6)
    for i in range(3):
        assert ddim_scheduler(int(cases[f'scheduler.{i}.steps'])).timesteps.tolist() == cases[f'scheduler.{i}.timesteps'].tolist()

@pytest.mark.parametrize('i', range(5))
def test_windows_of_frames(cases, i):
    n, size, overlap = map(int, cases[f'context.{i}.n_size_overlap'])
    assert np.array_equal(looped_windows(n, 0, Windows(size, overlap)), cases[f'context.{i}.windows'])

@pytest.mark.parametrize('i', [0, 1, 2])
def test_sampling(cases, recipe, nets, net, i):
    "The whole loop: few-step in one window and in three, the standard set with guidance"
    case = recipe[f'pipeline.{i}']
    given, after = drawn(case), []
    portrait, sound = portrait_of(case, given, nets), given['audio']
    assert ddim_scheduler(case['steps']).timesteps.tolist() == cases[f'pipeline.{i}.timesteps'].tolist()
    def predict(x, t, frames): return guided_velocity(net, portrait, x, t, sound[frames], case['cfg'])
    windows = Windows(case['context_frames'], case['context_overlap'])
    with torch.inference_mode():
        last = sample_together(predict, clips(given['noise']).clamp(-1.5, 1.5), case['steps'], windows, seen=after.append)
    close(apart(after[0], 1), cases[f'pipeline.{i}.first'], 1e-4)
    close(apart(last, 1), cases[f'pipeline.{i}.last'], 1e-4)
    steps = np.stack([apart(x, 1)[0, :, ::2, ::4, ::4] for x in after])
    close(steps, cases[f'pipeline.{i}.steps'], 1e-4)

@pytest.mark.parametrize('i', range(5))
def test_geometry(cases, i):
    "Where the mask's margin lies beyond the picture the official mask is empty; ours ends at the edge, and the square is the same"
    want = {k.removeprefix(f'geometry.{i}.'): v for k, v in cases.items() if k.startswith(f'geometry.{i}.')}
    size, box = tuple(map(int, want['image_hw'][::-1])), want['bbox_xyxy']
    crop = crop_around(box, size)
    assert [*widened(np.round(box).astype(int).tolist(), AROUND, size)] == want['crop_rect'].tolist()
    assert [*crop.square] == want['square_xyxy'].tolist()
    mask = np.rint(face_mask(crop, size) * 255).astype(int)
    if not want['mask512'].any():
        assert i in (2, 4) and mask.any()
        return
    assert np.array_equal(mask[::8, ::8], want['mask512'])
    assert np.array_equal(mask.max(1), want['mask_row_max']) and np.array_equal(mask.max(0), want['mask_col_max'])
