"LR-ASD by its published layout: shapes, the loader, the order of time; nothing changes without its weights."
from pathlib import Path
import numpy as np, pytest, torch
from lipsync_kit import KitError
from lipsync_kit.core import Audio
from lipsync_kit.nn.lr_asd import Encoder, LrAsd, load_lr_asd, odds_of
from lipsync_kit.pipe import speakers

def norm(name, c): return {f'{name}.{k}': (c,) for k in ('weight', 'bias', 'running_mean', 'running_var')}

def layout():
    "Names and shapes of a published checkpoint"
    res = {}
    for side, first, across, along in (('visual', 's', lambda k: (1, k, k), lambda k: (k, 1, 1)),
                                       ('audio', 'm', lambda k: (k, 1), lambda k: (1, k))):
        for i, (a, c) in enumerate(((1, 32), (32, 64), (64, 128)), 1):
            at = f'model.{side}Encoder.block{i}.'
            for n, shape in ((f'{first}_1', (c // 2, a, *across(5))), (f'{first}_2', (c, c // 2, *across(3))),
                             ('t_1', (c, c, *along(5))), ('t_2', (c, c, *along(3)))):
                res |= {at + n + '.weight': shape, **norm(at + n.replace('_', '_norm_'), shape[0])}
    for at, c in (('model.fusion', 256), ('model.detector.attention', 128)):
        res |= {f'{at}.attention.weight': (c, c, 1), **norm(f'{at}.bn', c)}
    for way in ('forward', 'backward'):
        at = f'model.detector.gru_{way}.'
        res |= {at + 'weight_ih_l0': (192, 256), at + 'weight_hh_l0': (192, 64), at + 'bias_ih_l0': (192,), at + 'bias_hh_l0': (192,)}
    for head in ('lossAV', 'lossV'): res |= {f'{head}.FC.weight': (2, 128), f'{head}.FC.bias': (2,)}
    return res

@pytest.fixture(scope='module')
def weights():
    g = torch.Generator().manual_seed(0)
    return {k: torch.rand(s, generator=g) if k.endswith('running_var') else .1 * torch.randn(s, generator=g)
            for k, s in layout().items()}

def test_a_checkpoint_of_the_published_layout_is_read_and_another_refused(weights, tmp_path):
    torch.save(weights, tmp_path/'a.model')
    torch.save({f'module.{k}': v for k, v in weights.items()}, tmp_path/'b.model')
    faces = np.random.default_rng(0).integers(0, 256, (3, 112, 112), dtype=np.uint8)
    one, two = (odds_of(load_lr_asd(tmp_path/n), faces, np.ones((12, 13))) for n in ('a.model', 'b.model'))
    assert one.shape == (3,) and np.isfinite(one).all() and np.array_equal(one, two)
    torch.save({k: v for k, v in weights.items() if 'fusion' not in k}, tmp_path/'c.model')
    with pytest.raises(KitError, match='fusion'): load_lr_asd(tmp_path/'c.model')

def test_log_odds_are_of_the_second_number(weights):
    net = LrAsd().eval()
    with torch.no_grad():
        net.lossAV['FC'].weight.zero_(); net.lossAV['FC'].bias.copy_(torch.tensor([1., 4.]))
    assert np.allclose(odds_of(net, np.zeros((2, 112, 112), np.uint8), np.zeros((8, 13))), 3)

@pytest.mark.parametrize('sight', (True, False))
def test_both_encoders_keep_the_order_of_time(sight):
    torch.manual_seed(0)
    net, x = Encoder(sight).eval(), torch.randn(1, 1, 40, 16, 16) if sight else torch.randn(1, 1, 13, 160)
    y = x.clone()
    if sight: y[:, :, 25] += 5
    else: y[..., 100:104] += 5
    with torch.no_grad(): moved = (net(x) - net(y)).abs().sum(2)[0].numpy()
    assert moved[25] > 0 and not moved[:15].any() and not moved[36:].any()
    assert abs((moved * np.arange(40)).sum() / moved.sum() - 25) < 1.5

def mouth(start=.4, n=24, fps=12.):
    m = speakers.Mouth()
    m.times = [start + i / fps for i in range(n)]
    m.mouths = [np.array([.1 + .02 * (i % 3), .5, .2]) for i in range(n)]
    return m

SOUND = Audio((.1 * np.random.default_rng(0).standard_normal(48_000)).astype(np.float32), 16_000)

def watched(m, faces, net, piece=150):
    m.judge = speakers.Judge(SOUND, net, piece)
    for t, face in zip(m.times, faces): m.judge.see(t, face)
    return m

def test_odds_lie_where_the_face_is_seen_and_are_added():
    "Judged in pieces or at once, and never more than a piece of pictures in memory"
    faces, net = [np.full((112, 112), 10 * i, np.uint8) for i in range(24)], lambda faces, sound: faces.mean((2, 3)) / 50 + 0 * sound.sum()
    m = watched(mouth(), faces, net)
    odds = m.judge.at(150)
    assert not odds[:20].any() and not odds[118:].any()
    assert abs(odds[round((.4 + 12 / 12 + .04) * 50)] - 12 * 10 / 50) < .05 and (np.diff(odds[20:110]) >= -1e-6).all()
    pieces = watched(mouth(), faces, net, 10)
    assert len(pieces.judge.waiting) < 10 and np.allclose(pieces.judge.at(150), odds)

def test_without_weights_nothing_changes(monkeypatch):
    from lipsync_kit.media.read import read_image
    from fractions import Fraction
    photo = read_image(Path(__file__).parent.parent/'lipsync_kit'/'data'/'astronaut.jpg')
    frames = lambda: iter([photo._replace(time=Fraction(i, 5)) for i in range(5)])
    monkeypatch.setattr(speakers, 'available', lambda name: False)
    assert all(m.judge is None for m in speakers.watch(frames(), audio=SOUND))
    expected = np.random.default_rng(1).standard_normal((150, 3))
    alone, net = speakers.curve_of([mouth()], expected), lambda faces, sound: torch.full(faces.shape[:2], 2.)
    assert np.isfinite(alone).any()
    more = speakers.curve_of([watched(mouth(), [np.zeros((112, 112), np.uint8)] * 24, net)], expected) - alone
    assert np.nanmin(more) >= 0 and np.allclose(more[25:110], 2)
    monkeypatch.setattr(speakers, 'available', lambda name: True)
    monkeypatch.setattr(speakers, 'find', lambda name: name)
    monkeypatch.setattr(speakers, '_lr_asd', lambda path: net)
    assert [m.judge.at(40)[5] for m in speakers.watch(frames(), audio=SOUND)] == [2.]
