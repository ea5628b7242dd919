"S3FD against what the original network and its post-processing answer."
import numpy as np, pytest, torch
from lipsync_kit.faces.s3fd import S3FD, first_rect, nms, s3fd_boxes, s3fd_input
from golden import close, loaded

@pytest.fixture(scope='module')
def golden(tmp_path_factory): return loaded('s3fd', S3FD(), tmp_path_factory.mktemp('golden'))

def frames_of(cases, case):
    g = np.random.Generator(np.random.PCG64(int(cases[f'{case}_seed'])))
    (b, h, w), (lh, lw) = cases[f'{case}_shape'], cases[f'{case}_low']
    if not lh: return g.integers(0, 256, (b, h, w, 3), dtype=np.uint8)
    return np.repeat(np.repeat(g.integers(0, 256, (b, lh, lw, 3), dtype=np.uint8), h // lh, 1), w // lw, 2)

@pytest.mark.parametrize('case', ['c0', 'c1', 'c2'])
@torch.no_grad()
def test_golden_network(golden, case):
    cases, net = golden
    heads = net(s3fd_input(frames_of(cases, case)))
    for i, (cls, reg) in enumerate(heads, 1):
        close(cls, cases[f'{case}_cls{i}'], 5e-5)
        close(reg, cases[f'{case}_reg{i}'], 5e-5)
    for b, (rect, top) in enumerate(zip(cases[f'{case}_rect'], cases[f'{case}_top'])):
        boxes = s3fd_boxes([(c[b], r[b]) for c, r in heads])
        close(boxes[0, :4], top[:4], 1e-2)
        close(boxes[0, 4], top[4], 1e-5)
        assert first_rect(boxes) == tuple(rect.tolist())

def test_golden_boxes(golden):
    cases, _ = golden
    for b in range(4):
        boxes = s3fd_boxes([(cases[f'post_cls{i}'][b], cases[f'post_reg{i}'][b]) for i in range(1, 7)])
        want = cases[f'post_dets{b}']
        assert boxes.shape == want.shape
        close(boxes[:, :4], want[:, :4], 1e-3)
        close(boxes[:, 4], want[:, 4], 1e-5)
        rect = cases['post_rects'][b]
        assert first_rect(boxes) == (None if (rect < 0).all() else tuple(rect.tolist()))

def test_golden_suppression(golden):
    cases, _ = golden
    for most, key in ((.3, 'nms_keep_03'), (.5, 'nms_keep_05')):
        assert nms(cases['nms_in'], most) == cases[key].tolist()
