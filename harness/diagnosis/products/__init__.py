"""One TOML file a product, read by `streamgauge.diagnosis.product`. A new file is a new product: nothing registers it.

- `name` and `kind` (`application` or `proxy`); `language`, as Markdown writes it after a code fence.
- `[marks]`: by response header, texts in lower case that give the product away.
- `[buffering]`: how it holds a stream back. `why` is what it does by default, `where` the place to change, `code` or
  `text` the change, and `checks` the ids of the checks that the same change fixes.
- `[[fix]]`: a change (`code` to paste, or `text` in sentences) and the ids of the `checks` that it fixes.
"""
