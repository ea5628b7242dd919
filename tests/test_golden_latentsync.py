"LatentSync 1.5 and 1.6 against what the original networks and the original pipeline answer on synthetic numbers."
from fractions import Fraction
from itertools import islice
import json
import numpy as np, pytest, torch
from lipsync_kit.models.contract import RenderRequest, DrivingSignal
from lipsync_kit.core import Audio, Clip, Face, Frame
from lipsync_kit.nn.unet_blocks import Positions, sinusoids
from lipsync_kit.models.latentsync.preprocess import (
    BROW_106, BROW_106_RIGHT, LEFT, NOSE_106, RIGHT, Aligner, aligned, canvas_size, canvases, chosen_face, edge, mask,
    restored, small_mask, training_box)
from lipsync_kit.models.latentsync.model import LatentSyncModel
from lipsync_kit.models.latentsync.reference import Sampler, SamplingSettings, render_reference, align_frames, pingpong
from lipsync_kit.models.latentsync.sampling import ddim_scheduler
from lipsync_kit.nn.frame_states import audio_features, first_state, n_reference_frames, reference_states
from lipsync_kit.models.latentsync.unet import UNet3D, load_unet
from lipsync_kit.nn.vae import load_vae, renamed, vae
from lipsync_kit.nn.whisper import encoder_weights, load_whisper_encoder, mel_pieces, encoder_network
from golden import blocks, checkpoint, close, draws, fits, numbers

@pytest.fixture(scope='module')
def golden(): return numbers('latentsync')

@pytest.fixture(scope='module')
def cases(golden): return golden[0]

@pytest.fixture(scope='module')
def spec(golden): return golden[1]

@pytest.fixture(scope='module')
def folder(tmp_path_factory): return tmp_path_factory.mktemp('latentsync')

@pytest.fixture(scope='module')
def unet(cases, folder): return load_unet(checkpoint('latentsync/tiny', folder, int(cases['param_seed'])))

@pytest.fixture(scope='module')
def latents(cases, folder): return load_vae(checkpoint('latentsync/vae/tiny', folder, int(cases['param_seed'])))

@pytest.fixture(scope='module')
def audio_encoder(cases, folder):
    return load_whisper_encoder(checkpoint('latentsync/whisper/tiny', folder, int(cases['param_seed'])))

def drawn(case): return {k: torch.from_numpy(v) for k, v in draws(case['seed'], case['draws']).items()}

def test_layout():
    with torch.device('meta'):
        assert not fits(UNet3D(), 'latentsync')
        assert not fits(vae(), 'latentsync/vae', renamed)
        assert not fits(encoder_network(), 'latentsync/whisper', encoder_weights)

@pytest.mark.parametrize('i', [0, 1])
def test_unet(cases, spec, unet, i):
    case = spec['unet'][i]
    given = drawn(case)
    with torch.no_grad(): close(unet(given['x'], case['t'], given['audio']), cases[f'unet.{i}.out'], 1e-4)

@pytest.mark.parametrize('i', [0, 1])
def test_unet_with_sinusoids(cases, spec, unet, i):
    case = spec['unet_sin'][i]
    given = drawn(case)
    tables = [m for m in unet.modules() if isinstance(m, Positions)]
    kept = [m.pe for m in tables]
    for m in tables: m.pe = sinusoids(*m.pe.shape[1:])[None]
    with torch.no_grad(): got = unet(given['x'], case['t'], given['audio'])
    for m, pe in zip(tables, kept): m.pe = pe
    close(got, cases[f'unet_sin.{i}.out'], 1e-4)

@pytest.mark.parametrize('i', [0, 1])
def test_motion(cases, spec, unet, i):
    case = spec['motion'][i]
    x = drawn(case)['x']
    b, _, f = x.shape[:3]
    with torch.no_grad(): got = unet.get_submodule(case['module'])(x.transpose(1, 2).flatten(0, 1), f)
    close(got.unflatten(0, (b, f)).transpose(1, 2)[:, ::2], cases[f'motion.{i}.out'], 1e-4)

def test_ddim(cases, spec):
    case = spec['ddim']
    given = drawn(case)
    alphas = ddim_scheduler().alphas_cumprod
    close(alphas[::37], cases['ddim.alphas_cumprod'], 1e-5)
    close(alphas[0], cases['ddim.final_alpha'], 1e-6)
    for n in case['steps']: assert ddim_scheduler(n).timesteps.tolist() == cases[f'ddim.timesteps.{n}'].tolist()
    ddim, x = ddim_scheduler(case['run_steps']), given['latents'] * float(cases['ddim.sigma'])
    for i, t in enumerate(ddim.timesteps):
        x = ddim.step(given[f'eps{i}'], t, x).prev_sample
        close(x, cases[f'ddim.step{i}'], 1e-4)

def test_chunks(cases, spec):
    for i, (n, fps) in enumerate(spec['chunks']):
        frames = range(n_reference_frames(n, fps))
        got = [(5 * reference_states(k, fps, n)[:, None] + np.arange(5)).ravel() for k in frames]
        assert np.array_equal(got, cases[f'chunks.{i}.index']), (n, fps)

def test_mask(cases, spec):
    left, right = (edge(knots, cases['mask.rows'][:, 0]) for knots in (LEFT, RIGHT))
    assert np.array_equal(np.stack([left, right], 1), cases['mask.rows'][:, 1:])
    for size in spec['mask']: close(small_mask(size), cases[f'mask.latent{size}'], 1e-6)
    close(small_mask(512), cases['mask.64'], 1e-6)
    assert len(np.unique(mask(512))) == cases['mask.levels512']
    close(mask(512).sum(dtype=float), cases['mask.sum512'], .01)

def near(got, want, most=2):
    "All but a thousandth within `most` grey levels, and the mean far less"
    off = np.abs(got.astype(int) - want)
    assert (off <= most).mean() >= .999 and off.mean() < .3, (off.max(), off.mean())

@pytest.mark.parametrize('i', [0, 1])
def test_align(cases, spec, i):
    case = spec['align'][i]
    points = cases[f'align.{i}.points']
    size = case['resolution']
    matrices = list(map(Aligner(size).matrix, points))
    close(matrices, cases[f'align.{i}.matrices'], 1e-3)
    assert (0, 0, *canvas_size(size)) == tuple(cases[f'align.{i}.box'])
    for j, want in zip((0, len(points) - 1), cases[f'align.{i}.faces']):
        got = aligned(blocks(case['seed'] + 100 + j, case['size'], case['block']), matrices[j], size)
        near(got.transpose(2, 0, 1)[:, ::8, ::8], want)

@pytest.mark.parametrize('i', [0, 1])
def test_restore(cases, spec, i):
    case = spec['restore'][i]
    size = case['resolution']
    aligner = Aligner(size)
    for j, (points, want) in enumerate(zip(cases[f'restore.{i}.points'], cases[f'restore.{i}.out'])):
        face = blocks(case['face_seed'] + j, (size, size), case['face_block']).transpose(2, 0, 1)[None]
        canvas = canvases(torch.from_numpy(face / np.float32(127.5) - 1))[0]
        frame = blocks(case['seed'] + 100 + j, case['size'], case['block'])
        got = restored(frame, canvas, aligner.matrix(points))[::2, ::2]
        near(got, want)
        assert np.abs(got.astype(int) - want).mean() < .1

def test_detect(cases, spec):
    best = chosen_face(cases['detect.boxes'], cases['detect.scores'])
    assert best == cases['detect.chosen']
    h, w = spec['detect'][0]['size']
    box = training_box(cases['detect.landmarks'][best], cases['detect.boxes'][best], (w, h))
    assert box == cases['detect.bbox'].tolist()

def windows_of(states, n):
    "Audio features of the first `n` frames at 25 frames a second"
    windows = audio_features(states)
    return [windows.at(first_state(Fraction(k, 25))) for k in range(n)]

def sound(x): return Audio(x.astype(np.float32) / 32768, 16000)

def test_sound(cases, audio_encoder):
    wav = sound(cases['wav'])
    mel, n = next(mel_pieces(wav, 'whole'))
    close(mel[:, :cases['mel'].shape[1]], cases['mel'], 1e-4)
    assert not mel[:, cases['mel'].shape[1]:].any()
    states = np.concatenate(list(audio_encoder(wav, 'whole')))
    assert len(states) == n == cases['whisper.n']
    close(states[::2, :, ::8], cases['whisper.feature'], 1e-4)
    got = windows_of([states], n_reference_frames(len(states), 25))
    assert len(got) == cases['whisper.n_chunks']
    close(np.stack(got)[::6, ::7, ::16], cases['whisper.chunks'], 1e-4)

@pytest.fixture(scope='module', params=[0, 1])
def video(request, cases, spec, unet, latents, audio_encoder):
    "A case of the whole pipeline: description, answers by name, a new sampler, the shapes of its noise, states"
    case, i = spec['pipe'][request.param], request.param
    want, shapes = {k.removeprefix(f'pipe.{i}.'): v for k, v in cases.items() if k.startswith(f'pipe.{i}.')}, []
    def begun(seed=0):
        g = np.random.Generator(np.random.PCG64(case['noise_seed']))
        shapes.clear()
        def noise(*shape):
            shapes.append(list(shape))
            return torch.from_numpy(g.standard_normal(shape, np.float32))
        settings = SamplingSettings(case['num_frames'], case['steps'], case['guidance'])
        return Sampler(unet, latents.encode, latents.decode, settings, noise)
    return case, want, begun, shapes, list(audio_encoder(sound(want['wav']), 'whole'))

def test_pipe_from_faces(video):
    "Tight: from the official faces to latents and drawn faces"
    case, want, begun, shapes, states = video
    n, k, draw = int(want['n']), case['num_frames'], begun()
    faces = list(islice(pingpong(list(want['aligned'].transpose(0, 2, 3, 1))), n))
    features = windows_of(states, n)
    chunks = [draw(faces[a:a + k], features[a:a + k]) for a in range(0, n, k)]
    assert shapes == json.loads(str(want['noise_shapes']))
    close(torch.cat([c.latents for c in chunks], 2), want['latents'], 3e-4)
    step = case['resolution'] // want['faces'].shape[-1]
    close(torch.cat([c.faces for c in chunks])[want['pick']][..., ::step, ::step], want['faces'], 1e-3)

def test_pipe_from_frames(video):
    "The whole call, in a stream"
    case, want, begun, _, states = video
    n, draw, chunks = n_reference_frames(sum(map(len, states)), 25), begun(), []
    assert n == want['n'] and min(len(want['wav']), int(n / 25 * 16000)) == want['audio_len']
    assert ddim_scheduler(case['steps']).timesteps.tolist() == want['timesteps'].tolist()
    shots = list(zip(film(case), want['points']))
    def looped(): return retimed(islice(pingpong(shots), n))
    close([p.M for p in align_frames(looped(), case['resolution'])], want['matrices'], 1e-3)
    def noting(*given):
        chunks.append(draw(*given))
        return chunks[-1]
    noting.settings = draw.settings
    frames = np.stack(list(render_reference(looped(), states, noting, case['resolution'], n)))
    close(torch.cat([c.latents for c in chunks], 2), want['latents'], .05)   # some bytes of the faces are off by one
    near(frames[want['pick']][:, ::3, ::3], want['restored'])

def film(case):
    "The frames of a case"
    images = (blocks(case['video_seed'] + j, case['size'], case['block']) for j in range(case['frames']))
    return [Frame(image, Fraction(j, 25)) for j, image in enumerate(images)]

def retimed(pairs):
    "Frames with something each, as a video that is shown again"
    return ((f._replace(time=Fraction(j, 25), taken=f.time), x) for j, (f, x) in enumerate(pairs))

def as_106(points):
    "A face of 106 points whose brows and nose lie at three given ones"
    p = np.zeros((106, 3), np.float32)
    for places, point in zip((BROW_106, BROW_106_RIGHT, NOSE_106), points): p[list(places), :2] = point
    return Face(p)

def test_pipe_as_model(video, audio_encoder):
    "The same from the model, as `lipsync` calls it"
    case, want, begun, _, _ = video
    model = LatentSyncModel(begun, lambda audio: audio_encoder(audio, 'whole'), case['resolution'], 'original')
    shots = [(frame, [as_106(p)]) for frame, p in zip(film(case), want['points'])]
    clip = Clip(None, 'video', *case['size'][::-1], fps=Fraction(25))
    request = RenderRequest(clip, retimed(pingpong(shots)), {None: DrivingSignal(audio=sound(want['wav']))})
    frames = list(model.render(request))
    assert len(frames) == want['n']
    near(np.stack(frames)[want['pick']][:, ::3, ::3], want['restored'])
