"The networks and the arithmetic of MuseTalk against what the original programs answer on synthetic numbers."
import numpy as np, pytest, torch
from lipsync_kit.nn.latent import SCALE, load_latents, renamed, vae
from lipsync_kit.core import Audio
from lipsync_kit.nn.whisper import encoder_weights, load_ears, log_mel, mel_pieces, whisper_encoder, whisper_scale
from golden import blocks, checkpoint, close, draws, fits, numbers

@pytest.fixture(scope='module')
def golden(): return numbers('musetalk')

@pytest.fixture(scope='module')
def latents(golden, tmp_path_factory): return load_latents(checkpoint('musetalk/vae/tiny', tmp_path_factory.mktemp('vae'), int(golden[0]['param_seed'])))

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
        close(mean, cases[f'vae.{i}.mean.half{half}'], 1e-4); close(logvar[..., ::2, ::2], cases[f'vae.{i}.logvar.half{half}'], 1e-4)
        close(latents.encode(x), SCALE * cases[f'vae.{i}.mean.half{half}'], 1e-4)
    close(x[0, :, ::16, ::16], cases[f'vae.{i}.input_half'], 1e-6)

@pytest.mark.parametrize('i', [0, 1])
def test_golden_decoder(golden, latents, i):
    cases, spec = golden
    z = torch.from_numpy(draws(spec['vae_decode'][i]['seed'], spec['vae_decode'][i]['draws'])['latents'])
    close(latents.decode(SCALE * z)[..., ::4, ::4], cases[f'vae_decode.{i}.float'], 1e-4)

@pytest.fixture(scope='module')
def ears(golden, tmp_path_factory): return load_ears(checkpoint('musetalk/whisper/tiny', tmp_path_factory.mktemp('ears'), int(golden[0]['param_seed'])))

@pytest.fixture(scope='module')
def sound(golden): return Audio(golden[0]['wav'] / np.float32(32768), 16000)

@pytest.mark.parametrize('name', ['musetalk/whisper', 'latentsync/whisper'])
def test_layout_whisper(name):
    with torch.device('meta'): more = fits(whisper_encoder(), name, encoder_weights)
    assert not more

def test_golden_mels(golden, sound):
    cases, _ = golden
    (cut, n), = mel_pieces(sound, 'cut')
    close(cut[:, :cases['mel_hf'].shape[1]], cases['mel_hf'], 1e-4); close(cut[:, -1], cases['mel_hf_tail'], 1e-4)
    whole = whisper_scale(log_mel(sound.samples))
    assert whole.shape[1] == cases['mel_v1_len'] and n == len(sound.samples) * 50 // 16000
    close(whole[:, :cases['mel_v1'].shape[1]], cases['mel_v1'], 1e-4)
    (piece, _), = mel_pieces(sound, 'whole')
    close(piece[:, :whole.shape[1]], whole, 0); assert not piece[:, whole.shape[1]:].any()

def test_golden_whisper(golden, ears, sound):
    cases, _ = golden
    states = ears.states(next(mel_pieces(sound))[0][None], norm=True)[0]
    close(states[:60:4, :, ::8], cases['whisper.hidden'], 1e-4); close(states[100::200, :, ::8], cases['whisper.hidden_far'], 1e-4)
