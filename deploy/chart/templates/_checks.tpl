{{/* What a schema cannot say: values that do not go together. */}}
{{- define "cerebro.checks" -}}
{{- $bridge := .Values.bridge -}}
{{- $redis := eq $bridge.store.kind "redis" -}}
{{- if and (gt (int $bridge.replicas) 1) (not $bridge.apart) -}}
{{- fail "bridge.replicas must be 1 where bridge.apart is false: such a bridge is in the operator's pod" -}}
{{- end -}}
{{- if and (gt (int $bridge.replicas) 1) (not $redis) -}}
{{- fail "bridge.store.kind must be redis where bridge.replicas is more than 1: bridges share their store" -}}
{{- end -}}
{{- if and (gt (int .Values.operator.replicas) 1) (not $bridge.apart) -}}
{{- fail "bridge.apart must be true where operator.replicas is more than 1: else each operator has a bridge beside it" -}}
{{- end -}}
{{- end }}
