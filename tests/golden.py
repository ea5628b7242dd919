"What the golden tests share: where reference answers lie, and a synthetic checkpoint in the published container, read by the real loader."
import importlib.util, json, os
from pathlib import Path
import numpy as np, pytest
from lipsync_kit.weights import fill, read_weights

GOLDEN = Path(os.environ.get('LIPSYNC_GOLDEN', Path(__file__).parent.parent.parent/'shared'/'golden'))
CASES = Path(os.environ.get('LIPSYNC_GOLDEN_CASES', GOLDEN))

def synth():
    "The module that writes synthetic checkpoints"
    spec = importlib.util.spec_from_file_location('synth', GOLDEN/'synth.py'); m = importlib.util.module_from_spec(spec); spec.loader.exec_module(m)
    return m

def loaded(name:str, model, folder:Path):
    "The cases called `name`, and the model with its synthetic weights"
    if not (CASES/name/'cases.npz').exists() or not (GOLDEN/'synth.py').exists(): pytest.skip(f'no golden cases at {CASES/name}; set LIPSYNC_GOLDEN')
    cases = dict(np.load(CASES/name/'cases.npz'))
    synth().write(json.loads((GOLDEN/name/'manifest.json').read_text()), folder/f'{name}.pth', int(cases['param_seed']))
    return cases, fill(model, read_weights(folder/f'{name}.pth'), name)

def close(got, want, atol): np.testing.assert_allclose(got, want, rtol=0, atol=atol)
