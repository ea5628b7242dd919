"The networks and the arithmetic of MuseTalk against what the original programs answer on synthetic numbers."
from fractions import Fraction
import numpy as np, pytest, torch
from lipsync_kit.hub import memory as manager
from lipsync_kit.models.contract import RenderRequest, DrivingSignal
from lipsync_kit.nn.vae import SCALE, load_vae, renamed, vae
from lipsync_kit.core import Audio, Clip, Face, Frame
from lipsync_kit.nn.feature_windows import feature_windows
from lipsync_kit.nn.whisper import (
    encoder_network, encoder_weights, load_whisper_encoder, log_mel, mel_pieces, whisper_scale)
from lipsync_kit.models.musetalk.preprocess import (
    AS_68, SOFT_LIVE, as_pictures, blend_mask, blended, cone, cropped, drawn_area, extended_below, face_box,
    face_latents, points_68)
from lipsync_kit.models.musetalk.live import live_states
from lipsync_kit.models.musetalk.card import MuseTalkSettings
from lipsync_kit.models.musetalk.model import MuseTalkModel, load
from lipsync_kit.models.musetalk.reference import Networks
from lipsync_kit.models.musetalk.audio import audio_features, first_version_starts, reference_starts
from lipsync_kit.models.musetalk.unet import load_unet, positions, unet
from lipsync_kit.nn.face_parse import BiSeNet, load_face_parse, parse_input
from golden import blocks, checkpoint, close, draws, fits, numbers

@pytest.fixture(scope='module')
def golden(): return numbers('musetalk')

@pytest.fixture(scope='module')
def written(golden, tmp_path_factory):
    "Function that writes the synthetic file of a layout"
    folder, seed = tmp_path_factory.mktemp, int(golden[0]['param_seed'])
    return lambda layout: checkpoint(f'musetalk/{layout}', folder('files'), seed)

@pytest.fixture(scope='module')
def latents(written): return load_vae(written('vae/tiny'))

def halves(image, top):
    "A BGR crop as the encoder takes it, its lower half blanked or not"
    x = torch.from_numpy(image[..., ::-1].transpose(2, 0, 1).astype(np.float32) / 255)[None]
    if top: x[:, :, x.shape[2] // 2:] = 0
    return x * 2 - 1

def test_layout_vae():
    with torch.device('meta'): assert not fits(vae(), 'musetalk/vae', renamed)

@pytest.mark.parametrize('i', [0, 1])
def test_golden_encoder(golden, latents, i):
    cases, spec = golden
    s = spec['vae'][i]
    for half in 0, 1:
        x = halves(blocks(s['seed'], s['size'], s['block']), half)
        mean, logvar = latents.posterior(x)
        close(mean, cases[f'vae.{i}.mean.half{half}'], 1e-4)
        close(logvar[..., ::2, ::2], cases[f'vae.{i}.logvar.half{half}'], 1e-4)
        close(latents.encode(x), SCALE * cases[f'vae.{i}.mean.half{half}'], 1e-4)
    close(x[0, :, ::16, ::16], cases[f'vae.{i}.input_half'], 1e-6)

@pytest.mark.parametrize('i', [0, 1])
def test_golden_decoder(golden, latents, i):
    cases, spec = golden
    z = torch.from_numpy(draws(spec['vae_decode'][i]['seed'], spec['vae_decode'][i]['draws'])['latents'])
    close(latents.decode(SCALE * z)[..., ::4, ::4], cases[f'vae_decode.{i}.float'], 1e-4)

@pytest.fixture(scope='module')
def audio_encoder(written): return load_whisper_encoder(written('whisper/tiny'))

@pytest.fixture(scope='module')
def sound(golden): return Audio(golden[0]['wav'] / np.float32(32768), 16000)

@pytest.mark.parametrize('name', ['musetalk/whisper', 'latentsync/whisper'])
def test_layout_whisper(name):
    with torch.device('meta'): more = fits(encoder_network(), name, encoder_weights)
    assert not more

def test_golden_mels(golden, sound):
    cases, _ = golden
    (cut, n), = mel_pieces(sound, 'cut')
    close(cut[:, :cases['mel_hf'].shape[1]], cases['mel_hf'], 1e-4)
    close(cut[:, -1], cases['mel_hf_tail'], 1e-4)
    whole = whisper_scale(log_mel(sound.samples))
    assert whole.shape[1] == cases['mel_v1_len'] and n == len(sound.samples) * 50 // 16000
    close(whole[:, :cases['mel_v1'].shape[1]], cases['mel_v1'], 1e-4)
    (piece, _), = mel_pieces(sound, 'whole')
    close(piece[:, :whole.shape[1]], whole, 0)
    assert not piece[:, whole.shape[1]:].any()

def test_golden_whisper(golden, audio_encoder, sound):
    cases, _ = golden
    states = audio_encoder.states(next(mel_pieces(sound))[0][None], norm=True)[0]
    close(states[:60:4, :, ::8], cases['whisper.hidden'], 1e-4)
    close(states[100::200, :, ::8], cases['whisper.hidden_far'], 1e-4)

@pytest.fixture(scope='module')
def parser(written): return load_face_parse(written('face_parse'))

def test_layout_face_parse():
    assert all(k.endswith('num_batches_tracked') for k in fits(BiSeNet(), 'musetalk/face_parse'))

@pytest.mark.parametrize('i', [0, 1])
def test_golden_face_parse(golden, parser, i):
    cases, spec = golden
    x = torch.from_numpy(draws(spec['bisenet'][i]['seed'], spec['bisenet'][i]['draws'])['x'])
    close(parser.logits(x)[..., ::4, ::4], cases[f'bisenet.{i}.out'], 1e-4)

def test_golden_labels(golden, parser):
    cases, spec = golden
    image = blocks(*(spec['bisenet_image'][k] for k in ('seed', 'size', 'block')))
    close(parser.logits(parse_input(image))[0, :, ::16, ::16], cases['bisenet_image.logits'], 1e-4)
    assert (parser(image)[::2, ::2] == cases['bisenet_image.label']).mean() > .999

@pytest.fixture(scope='module')
def draw(written): return load_unet(written('tiny'))

def test_layout_unet():
    with torch.device('meta'): assert not fits(unet(), 'musetalk')

@pytest.mark.parametrize('i', [0, 1, 2])
def test_golden_unet(golden, draw, i):
    cases, spec = golden
    x = draws(spec['unet'][i]['seed'], spec['unet'][i]['draws'])
    close(draw(x['latents'], x['audio']), cases[f'unet.{i}.out'], 1e-4)

def test_golden_positions(golden): close(positions()[:, ::8], golden[0]['pe'], 1e-5)

def indices(starts, n, outside):
    "The rows that `feature_windows` takes for each frame, numbered 5*step+state; -1 for zeros"
    rows = np.arange(1, 5 * n + 1).reshape(n, 5, 1)
    pieces = (rows[i:i + 1500] for i in range(0, n, 1500))
    return np.stack([w[:, 0] - 1 for w in feature_windows(pieces, starts, outside)])

@pytest.mark.parametrize('i', range(8))
def test_golden_windows(golden, i):
    cases, spec = golden
    fps, samples = spec['chunks'][i]
    got = indices(reference_starts(fps, samples), int(samples / 16000 * 50), 'zeros')
    assert np.array_equal(got, cases[f'chunks.{i}.index'])

@pytest.mark.parametrize('i', range(4))
def test_golden_first_windows(golden, i):
    cases, spec = golden
    n, fps = spec['v1_chunks'][i]
    assert np.array_equal(indices(first_version_starts(fps, n), n, 'repeat'), cases[f'v1_chunks.{i}.index'])

@pytest.mark.parametrize('i', range(5))
def test_golden_box(golden, i):
    cases, spec = golden
    box = face_box(cases[f'bbox.{i}.points68'], (101, 102, 303, 304), spec['bbox'][i]['shift'])
    assert box == tuple(cases[f'bbox.{i}.box'])

def noises(seed):
    g = np.random.Generator(np.random.PCG64(seed))
    return [torch.from_numpy(g.standard_normal((1, 4, 32, 32), np.float32)) for _ in range(2)]

def seen(spec, latents):
    "Crop and latents of a face case"
    rgb = blocks(spec['image_seed'], spec['size'], spec['block'])[..., ::-1]
    crop = cropped(np.ascontiguousarray(rgb), (0, 0, *rgb.shape[1::-1]))
    return crop, face_latents(crop[None], latents, noises(spec['noise_seed']))

def near(got, want):
    "At most one grey level off"
    assert got.shape == want.shape and np.abs(got.astype(int) - want).max() <= 1

@pytest.mark.parametrize('i', [0, 1])
def test_golden_face(golden, latents, draw, i):
    cases, spec = golden
    s = spec['face'][i]
    crop, x = seen(s, latents)
    assert np.array_equal(crop[::8, ::8, ::-1], cases[f'face.{i}.crop'])
    close(x, cases[f'face.{i}.latents'], 1e-4)
    z = draw(x, draws(s['audio_seed'], s['draws'])['audio'])
    close(z, cases[f'face.{i}.pred'], 1e-4)
    near(as_pictures(z, latents)[0, ::2, ::2, ::-1], cases[f'face.{i}.bgr'])

@pytest.mark.parametrize('i', [0, 1])
def test_golden_pictures(golden, latents, i):
    cases, spec = golden
    z = torch.from_numpy(draws(spec['vae_decode'][i]['seed'], spec['vae_decode'][i]['draws'])['latents'])
    near(as_pictures(SCALE * z, latents)[:, ::4, ::4, ::-1], cases[f'vae_decode.{i}.bgr'])

def test_golden_end_to_end(golden, latents, draw, audio_encoder, sound):
    cases, spec = golden
    starts = reference_starts(25, len(sound.samples))
    assert len(starts) == cases['e2e.n']
    chosen = cases['e2e.frames'].tolist()
    windows = audio_features(audio_encoder, sound)
    faces = seen(spec['face'][0], latents)[1].expand(len(chosen), -1, -1, -1)
    z = draw(faces, np.stack([windows.at(starts[k]) for k in chosen]))
    close(z, cases['e2e.pred'], 2e-4)
    near(as_pictures(z, latents)[:, ::4, ::4, ::-1], cases['e2e.bgr'])

@pytest.mark.parametrize('key', ['raw', 'neck', 'jaw_90_90', 'jaw_80_80', 'jaw_40_120'])
def test_golden_masks(golden, key):
    mode, *cheeks = key.split('_')
    mask = drawn_area(golden[0]['labels'], mode, [int(c) for c in cheeks])
    assert set(np.unique(mask)) == {0, 255} and np.array_equal(np.packbits(mask > 0, axis=1), golden[0][f'parse.{key}'])

def test_golden_cone(golden): assert np.array_equal(cone(), golden[0]['jaw_kernel'])

@pytest.mark.parametrize('i', range(3))
def test_golden_blend(golden, i):
    cases, spec = golden
    s = spec['blend'][i]
    frame, box = blocks(s['seed'], s['size'], s['block']), tuple(s['box'])
    face = blocks(s['face_seed'], (box[3] - box[1], box[2] - box[0]), s['face_block'])
    how = dict(parser=lambda image: cases['labels'], mode=s['mode'], cheeks=s['cheek'])
    out = blended(frame, face, box, *blend_mask(frame, box, **how))
    assert np.array_equal(out[::2, ::2], cases[f'blend.{i}.out'])
    assert (out != frame).any(2).sum() == cases[f'blend.{i}.changed']
    mask, around = blend_mask(frame, box, **how, soft=SOFT_LIVE)
    assert around == tuple(cases[f'blend.{i}.crop_box'])
    assert np.array_equal(mask[::2, ::2], cases[f'blend.{i}.realtime_mask'])
    assert np.array_equal(blended(frame, face, box, mask, around)[::4, ::4], cases[f'blend.{i}.realtime_out'])

def test_model_from_files(golden, latents, draw, audio_encoder, parser, sound):
    "The finished frames of the preset `original` are those of its steps"
    frames = [blocks(60 + k, (300, 260), 9) for k in range(3)]
    points = np.zeros((478, 3), np.float32)
    points[AS_68, :2] = golden[0]['bbox.0.points68'] * .5
    points[[195, 5], :2] = golden[0]['bbox.0.points68'][29] * .5
    clip = Clip(None, 'video', 260, 300, fps=Fraction(25))
    film = ((Frame(f, Fraction(k, 25)), [Face(points)] if k != 1 else []) for k, f in enumerate(frames))
    request = RenderRequest(clip, film, {None: DrivingSignal(audio=sound)})
    out = list(MuseTalkModel(Networks(draw, latents, audio_encoder, parser), 'original', batch=2).render(request))
    box = extended_below(face_box(points_68(points)), 300)
    z = draw(face_latents(cropped(frames[2], box)[None], latents), audio_features(audio_encoder, sound).at(0)[None])
    near(out[2], blended(frames[2], as_pictures(z, latents)[0], box, *blend_mask(frames[2], box, parser)))
    assert len(out) == 3 and np.array_equal(out[1], frames[1]) and (out[2] != frames[2]).any()

def test_load(golden, tmp_path, monkeypatch):
    "The files of the hub and a U-Net of one's own become a model; each is loaded once"
    files = {}
    layouts = {'sd-vae-ft-mse': 'vae/tiny', 'whisper-tiny-hf': 'whisper/tiny', 'face-parse': 'face_parse'}
    for name, layout in (layouts | {'musetalk-1.0': 'tiny'}).items():
        (tmp_path/name).mkdir()
        files[name] = checkpoint(f'musetalk/{layout}', tmp_path/name, 0)
    def find(name, folder=None): return files[name] if name == 'face-parse' else files[name].parent
    monkeypatch.setattr(manager, 'find', find)
    manager.manager.cleanup()
    mine = files['musetalk-1.0']
    a, b = (load('musetalk-1.5', 'cpu', MuseTalkSettings(preset, mine)) for preset in ('original', 'best'))
    assert a.nets.latents is b.nets.latents and a.nets.draw is b.nets.draw and b.nets.parser is None and a.weights[1:] == ('sd-vae-ft-mse', 'whisper-tiny-hf', 'face-parse')
    manager.manager.cleanup()

def test_live_states(audio_encoder, sound):
    "Sound that arrives has about the states of a file, as many, and they come soon; what comes before the attention is the same"
    whole = np.concatenate(list(audio_encoder(sound, 'cut', norm=True)))
    pieces = [sound.cut(t, min(t + .3, sound.duration)) for t in np.arange(0, sound.duration, .3)]
    def off(x): return np.abs(x - whole).mean((0, 2)) / np.abs(whole - whole.mean(0)).mean((0, 2))
    once = np.concatenate(list(live_states(audio_encoder, [sound])))
    close(once[:, 0], whole[:, 0], 1e-4)
    live = list(live_states(audio_encoder, pieces))
    assert off(once)[:2].max() < .02 and off(np.concatenate(live))[:2].max() < .4     # weights that were not trained make little of it much in later layers
    assert sum(map(len, live)) == len(whole) and len(live) >= 4
