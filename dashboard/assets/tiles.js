// Floors and racks as coloured tiles: a button each, so that keyboard and screen reader reach every room.
(function () {
  const h = React.createElement;
  const AHEAD = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  function middle(tile) {
    return [tile.at[0] + tile.at[2] / 2, tile.at[1] + tile.at[3] / 2];
  }

  // The nearest tile in a direction; one that lies to the side counts as further away.
  function next(tiles, from, ahead) {
    const start = middle(from);
    let best = null;
    let least = Infinity;
    tiles.forEach(function (tile) {
      const there = middle(tile);
      const along = (there[0] - start[0]) * ahead[0] + (there[1] - start[1]) * ahead[1];
      const aside = Math.abs((there[0] - start[0]) * ahead[1] + (there[1] - start[1]) * ahead[0]);
      if (along > 0.01 && along + 3 * aside < least) {
        least = along + 3 * aside;
        best = tile;
      }
    });
    return best;
  }

  function percent(value) {
    return value + "%";
  }

  function drawTile(tile, drawing, isStop) {
    const style = { left: percent(tile.at[0]), top: percent(tile.at[1]), width: percent(tile.at[2]), height: percent(tile.at[3]) };
    if (tile.fill) {
      style.backgroundColor = tile.fill;
      style.color = tile.ink;
    }
    const props = {
      key: tile.id,
      "data-tile": tile.id,
      className: "tile" + (tile.fill ? "" : " tile-unknown"),
      style: style,
      tabIndex: isStop ? 0 : -1,
      "aria-label": tile.tip.join(", "),
    };
    if (drawing.picks) {
      props.type = "button";
      props["aria-pressed"] = tile.id === drawing.chosen;
    } else {
      props.role = "img";
    }
    const last = tile.lines.length - 1;
    const lines = tile.lines.map(function (line, i) {
      return h("span", { key: i, className: i === last ? "tile-number" : "tile-name" }, line);
    });
    return h(drawing.picks ? "button" : "div", props, lines);
  }

  function drawLegend(legend) {
    const marks = legend.marks.map(function (mark) {
      return h("span", { key: mark.at, style: { left: percent(mark.at) } }, mark.text);
    });
    return h("div", { className: "tiles-legend" },
      h("span", null, legend.unit),
      h("div", { className: "tiles-scale" },
        h("div", { className: "tiles-colours", style: { backgroundImage: legend.colours } }),
        h("div", { className: "tiles-marks" }, marks)));
  }

  function drawTip(tile) {
    const right = tile.at[0] > 60;
    const style = right ? { right: percent(100 - tile.at[0] - tile.at[2]) } : { left: percent(tile.at[0]) };
    style.top = percent(tile.at[1] + tile.at[3]);
    return h("div", { className: "tiles-tip", style: style, "aria-hidden": true }, tile.tip.map(function (line, i) {
      return h(i ? "div" : "strong", { key: i }, line);
    }));
  }

  function Tiles(props) {
    const drawing = props.drawing || { tiles: [], titles: [], height: 0 };
    const sheet = React.useRef(null);
    const [near, setNear] = React.useState(null);
    const [stop, setStop] = React.useState(null);
    const byId = React.useMemo(function () {
      return new Map(drawing.tiles.map(function (tile) { return [tile.id, tile]; }));
    }, [drawing]);
    const wanted = [stop, drawing.chosen].find(function (id) { return byId.has(id); });
    const first = wanted || (drawing.tiles.length ? drawing.tiles[0].id : null);
    const tiles = React.useMemo(function () {
      return drawing.tiles.map(function (tile) { return drawTile(tile, drawing, tile.id === first); });
    }, [drawing, first]);

    function tileOf(event) {
      const element = event.target.closest("[data-tile]");
      return element ? byId.get(element.dataset.tile) : undefined;
    }
    function show(event) {
      const tile = tileOf(event);
      setNear(tile ? tile.id : null);
    }
    function hide() {
      setNear(null);
    }
    function focus(event) {
      const tile = tileOf(event);
      if (tile) {
        setNear(tile.id);
        setStop(tile.id);
      }
    }
    function press(event) {
      if (event.key === "Escape") hide();
      const tile = tileOf(event);
      const found = tile && AHEAD[event.key] && next(drawing.tiles, tile, AHEAD[event.key]);
      if (!found) return;
      event.preventDefault();
      sheet.current.querySelector('[data-tile="' + CSS.escape(found.id) + '"]').focus();
    }
    function pick(event) {
      const tile = tileOf(event);
      if (tile && drawing.picks) {
        props.setProps({ picked: { tile: tile.id, count: (props.picked ? props.picked.count : 0) + 1 } });
      }
    }

    const titles = drawing.titles.map(function (title) {
      return h("div", { key: title.text, className: "tiles-title", style: { left: percent(title.at[0]), top: percent(title.at[1]) } }, title.text);
    });
    const over = byId.get(near);
    return h("div", { id: props.id, className: "tiles" + (drawing.small ? " tiles-small" : "") },
      drawing.note ? h("p", { className: "tiles-note" }, drawing.note) : null,
      h("div", {
        ref: sheet, className: "tiles-sheet", style: { height: drawing.note ? 0 : drawing.height }, onMouseOver: show,
        onMouseLeave: hide, onFocus: focus, onBlur: hide, onKeyDown: press, onClick: pick,
      }, titles, tiles, over ? drawTip(over) : null),
      drawing.legend ? drawLegend(drawing.legend) : null);
  }

  window.understudy_parts = { Tiles: Tiles };
})();
