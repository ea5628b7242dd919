"SyncNet and the evaluation around it against what the original code answers."
import numpy as np, pytest, torch
from lipsync_kit.core import Audio
from lipsync_kit.metrics.syncnet_faces import crop_path, sync_crop, sync_crops, sync_tracks
from lipsync_kit.metrics.syncnet import distances, sync_mfcc, sync_of, sync_rows, sync_score
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
    windows = np.stack([cases['mfcc'][4 * i:4 * i + 20].T for i in range(first, first + b)])[:, None]
    close(net.audio(torch.from_numpy(windows)), cases[f'{case}_aud'], 1e-4); close(embedder.audio(windows), cases[f'{case}_aud'], 1e-4)
    close(net.lip(lips), cases[f'{case}_lip'], 2e-3); close(net.lipfeat(lips), cases[f'{case}_lipfeat'], 2e-3)
    close(embedder.lip(frames), cases[f'{case}_lip'], 2e-3)

def test_golden_mfcc(golden): close(sync_mfcc(golden[0]['wav']), golden[0]['mfcc'], 1e-3)

@pytest.mark.parametrize('case', ['e0', 'e1', 'e2', 'e3'])
def test_golden_offset(golden, case):
    cases, lips, sounds = golden[0], golden[0][f'{case}_im'].astype(np.float32), golden[0][f'{case}_cc'].astype(np.float32)
    rows = distances(lips, np.pad(sounds, ((15, 15), (0, 0))))
    close(rows[::5], cases[f'{case}_dists'], 1e-5)
    score = sync_score([rows])
    assert score.offset == cases[f'{case}_offset']
    close(score.curve, cases[f'{case}_mdist'], 1e-5); close((score.lse_d, score.lse_c), (cases[f'{case}_min_dist'], cases[f'{case}_conf']), 1e-5)
    close(score.confidence, cases[f'{case}_fconf'], 1e-5); close(score.smooth, cases[f'{case}_fconf_medfilt9'], 1e-5)

def test_golden_whole_evaluation(golden, embedder):
    cases = golden[0]
    n, vshift = int(cases['eval_T']), int(cases['eval_vshift'])
    frames = rng(cases['eval_seed']).integers(0, 256, (n, 224, 224, 3), dtype=np.uint8).astype(np.float32)
    frames = (frames * np.linspace(.02, .1, n, dtype=np.float32)[:, None, None, None]).astype(np.uint8)[..., ::-1]   # RGB
    samples = cases['wav'][:int(cases['eval_samples'])]
    close(np.concatenate(list(sync_rows(frames, samples, embedder, vshift, batch=4))), cases['eval_dists'], 1e-3)
    score = sync_of(frames, Audio(samples / 32768, 16_000), embedder, vshift)
    assert score.offset == cases['eval_offset']
    close((score.lse_d, score.lse_c), (cases['eval_min_dist'], cases['eval_conf']), 1e-3)

def boxes_by_frame(cases):
    "Boxes by frame, in the order of the detector"
    rows = cases['track_dets']
    return [rows[rows[:, 0] == t, 1:] for t in range(150)]

def test_golden_tracks(golden):
    cases = golden[0]
    tracks = sync_tracks(boxes_by_frame(cases))
    assert len(tracks) == cases['track_n']
    assert list(tracks[0].frames) == cases['track0_frames'].tolist()
    close(tracks[0].boxes, cases['track0_bbox'], 1e-6)
    assert [(t.frames[0], t.frames[-1]) for t in sync_tracks(boxes_by_frame(cases), min_track=30)] == list(map(tuple, cases['track_min30_lengths'].tolist()))

def test_golden_crops(golden):
    cases, track = golden[0], sync_tracks(boxes_by_frame(golden[0]))[0]
    path = crop_path(track.boxes)
    for i, k in enumerate('sxy'): close(path[:, i], cases[f'crop_{k}'], 1e-6)
    for i, want in zip(cases['crop_index'], cases['crop_out']): close(sync_crop(cases['crop_frame'], *path[i])[::4, ::4].astype(float), want, 1)
    streamed = list(sync_crops([cases['crop_frame']] * 150, track))
    assert len(streamed) == len(path) and (streamed[-1] == sync_crop(cases['crop_frame'], *path[-1])).all()
