{{/* Labels of each object. Pods have none of them, so that a new chart alone restarts nothing. */}}
{{- define "cerebro.labels" -}}
app.kubernetes.io/part-of: cerebro
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Where the image comes from, of each container. */}}
{{- define "cerebro.image" -}}
{{- $repository := required "image.repository must be set: where your image is, for example registry.example/cerebro" .Values.image.repository -}}
image: {{ printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end }}

{{/* The part of a pod's spec that asks for the registry's Secrets. */}}
{{- define "cerebro.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ quote . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Annotations of a pod: with other settings it is another pod. Of a list of settings. */}}
{{- define "cerebro.settingsChecksum" -}}
{{- $given := compact . -}}
{{- if $given -}}
annotations:
  checksum/settings: {{ toJson $given | sha256sum }}
{{- end }}
{{- end }}

{{/* A pod that needs nothing of the host: the level `restricted` of Pod Security. */}}
{{- define "cerebro.restrictedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "cerebro.restrictedContainer" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Several replicas on several nodes, where there are some. Of the workload's name. */}}
{{- define "cerebro.spread" -}}
topologySpreadConstraints:
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      app.kubernetes.io/name: {{ . }}
{{- end }}
