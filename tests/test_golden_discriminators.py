"The discriminators of Wav2Lip's training against the outputs of the original networks on synthetic numbers."
import numpy as np, pytest, torch
from lipsync_kit.hub.memory import ModelManager
from lipsync_kit.nn.discriminators import QualityDiscriminator, SyncExpert, SyncDiscriminator, lower_halves, sync_loss
from golden import close, loaded

@pytest.fixture(scope='module')
def expert(tmp_path_factory): return loaded('lipsync_expert', SyncDiscriminator(), tmp_path_factory.mktemp('golden'))

@pytest.fixture(scope='module')
def quality(tmp_path_factory): return loaded('visual_quality_disc', QualityDiscriminator(), tmp_path_factory.mktemp('golden'))

def rng(seed): return np.random.Generator(np.random.PCG64(int(seed)))

@pytest.mark.parametrize('case', ['c0', 'c1'])
@torch.no_grad()
def test_golden_sync_discriminator(expert, case):
    cases, net = expert
    g, b = rng(cases[f'{case}_seed']), int(cases[f'{case}_B'])
    mel = torch.from_numpy(g.uniform(-4, 4, (b, 1, 80, 16)).astype(np.float32))
    frames = g.integers(0, 256, (b, 5, 96, 96, 3), dtype=np.uint8)
    faces = lower_halves(torch.from_numpy(frames.transpose(0, 4, 1, 2, 3).astype(np.float32) / 255))
    close(faces[:1, :, ::12, ::12], cases[f'{case}_input_face'], 1e-6)
    sound, face = net(mel, faces)
    close(net.audio_encoder(mel).flatten(1), cases[f'{case}_audio_raw'], 2e-5); close(net.face_encoder(faces).flatten(1), cases[f'{case}_face_raw'], 2e-5)
    close(sound, cases[f'{case}_audio'], 5e-6); close(face, cases[f'{case}_face'], 5e-6)
    close((sound * face).sum(1), cases[f'{case}_cos'], 2e-6)
    ready = SyncExpert(net, 'cpu')
    close(ready.audio(mel.numpy()), cases[f'{case}_audio'], 5e-6); close(ready.face(faces.numpy()), cases[f'{case}_face'], 5e-6)
    close(sync_loss(sound, face), cases[f'{case}_bce_all_real'], 1e-5); close(sync_loss(sound, face, torch.arange(b) % 2.), cases[f'{case}_bce_alternating'], 1e-5)

@torch.no_grad()
def test_golden_sync_loss(expert):
    cases, net = expert
    g = rng(cases['sync_seed'])
    mel = torch.from_numpy(g.uniform(-4, 4, (2, 1, 80, 16)).astype(np.float32))
    sound, face = net(mel, lower_halves(torch.from_numpy(g.random((2, 3, 5, 96, 96), dtype=np.float32))))
    close(face, cases['sync_face'], 5e-6); close((sound * face).sum(1), cases['sync_cos'], 2e-6); close(sync_loss(sound, face), cases['sync_loss'], 1e-5)

@pytest.mark.parametrize('case', ['c0', 'c1', 'c2'])
@torch.no_grad()
def test_golden_quality_discriminator(quality, case):
    cases, net = quality
    x = rng(cases[f'{case}_seed']).random(tuple(cases[f'{case}_shape']), dtype=np.float32)
    if case == 'c1': x = x * np.linspace(0, 1, 96).astype(np.float32)
    if case == 'c2': x = (x - np.float32(.5)) * np.array([1000, 3000], np.float32).reshape(2, 1, 1, 1, 1)
    x = torch.from_numpy(x.astype(np.float32))
    feat = net.features(x)
    tol = (1e-4, 5e-4) if case == 'c2' else (5e-7, 1e-6)
    close(net.binary_pred[0](feat).flatten(1), cases[f'{case}_logit'], tol[0]); close(feat.flatten(1), cases[f'{case}_feat'], tol[1])
    prob = net(x); close(prob, cases[f'{case}_prob'], 2e-6)
    close(torch.nn.functional.binary_cross_entropy(prob, torch.ones_like(prob)), cases[f'{case}_perceptual_loss'], 1e-4 if case == 'c2' else 1e-5)

def test_golden_discriminators_of_the_manager(tmp_path):
    "Both files, read and run as the manager does it"
    m = ModelManager()
    cases, _ = loaded('lipsync_expert', SyncDiscriminator(), tmp_path)
    g, b = rng(cases['c0_seed']), int(cases['c0_B'])
    sound = m.load('lipsync_expert', 'cpu', path=tmp_path/'lipsync_expert.pth').audio(g.uniform(-4, 4, (b, 1, 80, 16)))
    close(sound, cases['c0_audio'], 5e-6)
    cases, _ = loaded('visual_quality_disc', QualityDiscriminator(), tmp_path)
    x = rng(cases['c0_seed']).random(tuple(cases['c0_shape']), dtype=np.float32)
    prob = m.load('visual_quality_disc', 'cpu', path=tmp_path/'visual_quality_disc.pth')(x.transpose(2, 0, 1, 3, 4).reshape(-1, 3, 96, 96))   # all of the first frame first
    close(prob, cases['c0_prob'], 2e-6)
