"The Wav2Lip generators against what the original networks answer on synthetic numbers."
import numpy as np, pytest, torch
from lipsync_kit.core import Audio
from lipsync_kit.models.wav2lip.preprocess import (
    chunk_starts, face_input, padded_box, pasted, smoothed_boxes, wav2lip_mel)
from lipsync_kit.nn.wav2lip import COMPRESSED, ORIGINAL, Wav2Lip
from golden import loaded

KINDS = dict(   # plan of the network; tolerances of pictures, logits and sound
    wav2lip=(ORIGINAL, (2e-6, 1e-5, 2e-5)),
    lrs3_wav2lip=(ORIGINAL, (2e-6, 1e-5, 2e-5)),
    nota_wav2lip=(COMPRESSED, (1e-6, 5e-6, 5e-6)))

def near(got, want, atol): np.testing.assert_allclose(got, want, rtol=0, atol=atol)

@pytest.fixture(scope='module', params=KINDS)
def golden(request, tmp_path_factory):
    "Name, cases and the network, its weights read from a synthetic file in the published container"
    name = request.param
    return (name, *loaded(name, Wav2Lip(KINDS[name][0]), tmp_path_factory.mktemp('golden')))

def inputs(case, seed):
    "Sound and faces of a case, from its seed"
    g = np.random.Generator(np.random.PCG64(int(seed)))
    if case == 'c0':
        u8 = g.integers(0, 256, (2, 96, 96, 3), dtype=np.uint8).transpose(0, 3, 1, 2)
        blank = u8.copy()
        blank[:, :, 48:] = 0
        mel = g.uniform(-4, 4, (2, 1, 80, 16)).astype(np.float32)
        return mel, np.concatenate([blank, u8], 1).astype(np.float32) / 255
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
    with torch.no_grad():
        out = net(mel, faces).numpy()
        sound = net.audio_encoder(mel.flatten(0, -4)).numpy()
    hook.remove()
    np.testing.assert_allclose(strided(out, cases[f'{case}_out']), cases[f'{case}_out'], rtol=0, atol=tol[0])
    logit, audio = cases.get(f'{case}_logit'), cases.get(f'{case}_audio')
    if logit is not None: near(strided(logits[0], logit), logit, tol[1])
    if audio is not None: near(sound[..., 0, 0], audio, tol[2])

def mel_of(name, cases):
    return wav2lip_mel(Audio(cases['wav'] / 32768, 16000), 'constant' if name == 'nota_wav2lip' else 'reflect')

def test_golden_mel(golden):
    name, cases, _ = golden
    if 'wav' not in cases: pytest.skip(f'{name} has no mel of its own')
    np.testing.assert_allclose(mel_of(name, cases), cases['mel'], rtol=0, atol=1e-4)
    if 'mel_zeropad_edges' in cases:
        edges = wav2lip_mel(Audio(cases['wav'] / 32768, 16000), 'constant')[:, [0, 1, 2, -3, -2, -1]]
        np.testing.assert_allclose(edges, cases['mel_zeropad_edges'], rtol=0, atol=1e-4)

RATES = dict(starts_25=25, starts_29_97=29.97, starts_ntsc=30000/1001, starts_30=30, starts_24=24, starts_60=60)

def test_golden_chunk_starts(golden):
    name, cases, _ = golden
    for key in cases:
        if not key.startswith('starts_'): continue
        n = int(key.split('_T')[1]) if '_T' in key else cases['mel'].shape[1]
        assert chunk_starts(n, RATES[key.split('_T')[0]]) == cases[key].tolist(), key

def test_golden_boxes(golden):
    name, cases, _ = golden
    for key in cases:
        if not key.endswith('_rects'): continue
        raw = [padded_box([int(v) for v in r], (400, 300)) for r in cases[key]]
        assert np.array_equal(raw, cases[key.replace('rects', 'raw')]), key
        assert np.array_equal(smoothed_boxes(raw), cases[key.replace('rects', 'smooth')]), key
    if 'boxes1_pads_5_20_7_9' in cases:
        padded = [padded_box([int(v) for v in r], (400, 300), (5, 20, 7, 9)) for r in cases['boxes1_rects']]
        assert np.array_equal(padded, cases['boxes1_pads_5_20_7_9'])

def test_golden_finished_frames(golden):
    name, cases, net = golden
    if 'e2e_out' not in cases: pytest.skip(f'{name} has no finished frames')
    frames, boxes, mel, out = cases['e2e_frames'], cases['e2e_boxes'], mel_of(name, cases), []
    n = len(cases['e2e_starts'])
    inputs_ = np.stack([face_input(frames[i % len(frames)], boxes[i % len(boxes)]) for i in range(n)])
    np.testing.assert_allclose(strided(inputs_[:2], cases['e2e_input']), cases['e2e_input'], rtol=0, atol=1e-6)
    chunks = np.stack([mel[None, :, s:s+16] for s in cases['e2e_starts']])
    with torch.no_grad(): drawn = net(torch.from_numpy(chunks), torch.from_numpy(inputs_)).numpy()
    np.testing.assert_allclose(strided(drawn, cases['e2e_pred']), cases['e2e_pred'], rtol=0, atol=5e-6)
    for i, want in enumerate(cases['e2e_out']):
        got = pasted(frames[i % len(frames)], drawn[i], boxes[i % len(boxes)]).astype(int)
        assert np.abs(got - want).max() <= 1 and (got != want).mean() <= .01
        inside = np.zeros(want.shape[:2], bool)
        y1, y2, x1, x2 = boxes[i % len(boxes)]
        inside[y1:y2, x1:x2] = True
        assert not (got != want)[~inside].any()
