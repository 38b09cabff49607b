"""Looks and behaviour of the detection report: no file beside it, no script from elsewhere, readable without any."""

STYLE = """
:root{color-scheme:light}
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:1080px;padding:1.5rem;color:#202124;background:#fff}
h1{font-size:1.4rem;margin:0 0 .25rem}p{margin:.25rem 0}.note{color:#5f6368;overflow-wrap:anywhere}
svg{width:100%;height:auto;display:block;margin:.5rem 0}svg text{font:12px system-ui,sans-serif;fill:#5f6368}
form{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;align-items:center;
padding:.5rem 0;background:#fff;border-bottom:1px solid #dadce0}
form[hidden]{display:none}select,input[type=search]{font:inherit;padding:.1rem .3rem}
article{border:1px solid #dadce0;border-radius:8px;padding:.75rem 1rem;margin:1rem 0}
article h2{font-size:1rem;margin:0 0 .5rem;overflow-wrap:anywhere}img{max-width:100%;height:auto;display:block}
.anomalous{border-left:6px solid #c5221f}.good{border-left:6px solid #188038}
b.anomalous,b.good{border:0;color:#fff;border-radius:4px;padding:.05rem .45rem;font-size:.85rem}
b.anomalous{background:#c5221f}b.good{background:#188038}
.failed{border:1px solid #c5221f;border-radius:8px;padding:.5rem 1rem;margin:1rem 0;overflow-wrap:anywhere}
table{border-collapse:collapse;margin-top:.5rem}td,th{padding:.1rem .75rem .1rem 0;text-align:left;font-weight:400}
th{color:#5f6368}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
@media print{article{break-inside:avoid}form{display:none}}
"""

CONTROLS = """<form hidden>
<label><input type="radio" name="show" value="" checked> all</label>
<label><input type="radio" name="show" value="anomalous"> anomalous</label>
<label><input type="radio" name="show" value="good"> good</label>
<label>sort by <select name="sort"><option value="score">score</option><option value="path">path</option></select>
</label>
<label>path has <input type="search" name="part"></label>
<output></output>
</form>
"""

SCRIPT = """<script>
const form = document.querySelector("form"), list = document.querySelector("main");
const cards = [...list.querySelectorAll("article")];
function apply() {
  const show = form.show.value, part = form.part.value.toLowerCase();
  const order = form.sort.value === "path"
    ? (a, b) => a.dataset.path.localeCompare(b.dataset.path, undefined, {numeric: true})
    : (a, b) => b.dataset.score - a.dataset.score;
  list.append(...cards.sort(order));
  for (const card of cards)
    card.hidden = (show && card.className !== show) || !card.dataset.path.toLowerCase().includes(part);
  form.querySelector("output").value = cards.filter(card => !card.hidden).length + " shown";
}
form.addEventListener("input", apply);
form.addEventListener("submit", event => event.preventDefault());
form.hidden = false;
apply();
</script>
"""
